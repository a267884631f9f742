import NIOHTTP1
import Rights
import Telemetry

/// `/snapshot`: not there yet.
extension HTTPOperation {
    static let snapshot = HTTPOperation(
        unavailable: "snapshot", [.exact("/snapshot")], [.POST], [.snapshot],
        counting: { $0.snapshots })
}
