import NIOHTTP1
import Rights
import Telemetry

/// `/boot`: not there yet.
extension HTTPOperation {
    static let boot = HTTPOperation(
        unavailable: "boot", [.exact("/boot")], [.POST], [.load], body: .database,
        counting: { $0.boots })
}
