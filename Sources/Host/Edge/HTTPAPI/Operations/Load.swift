import NIOHTTP1
import Rights
import Telemetry

/// `/db/load`: not there yet.
extension HTTPOperation {
    static let load = HTTPOperation(
        unavailable: "load", [.prefix("/db/load")], [.POST], [.load], body: .database,
        counting: { $0.loads })
}
