import NIOHTTP1
import Rights
import Telemetry

/// `/reap`: rqlite merges old snapshots. Here there are none: a checkpoint writes into the one database
/// file that there is, so there is never anything to merge.
extension HTTPOperation {
    static let reap = HTTPOperation(
        answeredHere: "reap", [.exact("/reap")], [.POST], [.snapshot],
        note: OperationNote(
            "Merge old snapshots, of which there are none here.", [],
            [.json(200, .reaped, "Nothing was merged.")]),
        counting: { $0.reaps },
        work: { _, _ in
            let text = "{\"snapshots_reaped\":0,\"wals_checkpointed\":0}\n"
            return Response(.ok, .json, body: Array(text.utf8))
        })
}
