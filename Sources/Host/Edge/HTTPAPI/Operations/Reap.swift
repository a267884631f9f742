import NIOHTTP1
import Rights
import Telemetry

/// `/reap`: not there yet.
extension HTTPOperation {
    static let reap = HTTPOperation(
        unavailable: "reap", [.exact("/reap")], [.POST], [.snapshot], content: .json,
        counting: { $0.reaps })
}
