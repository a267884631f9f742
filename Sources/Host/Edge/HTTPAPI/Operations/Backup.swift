import NIOHTTP1
import Rights
import Telemetry

/// `/db/backup`: not there yet.
extension HTTPOperation {
    static let backup = HTTPOperation(
        unavailable: "backup", [.prefix("/db/backup")], [.GET], [.backup],
        counting: { $0.backups })
}
