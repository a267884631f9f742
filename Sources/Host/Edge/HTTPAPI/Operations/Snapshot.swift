import NIOHTTP1
import Rights
import Service
import Telemetry

/// `/snapshot`: this node's database is checkpointed and its log shortened; 204 where there is nothing
/// to do. With `trailing_logs` so many entries stay in the log, this time.
extension HTTPOperation {
    static let snapshot = HTTPOperation(
        "snapshot", [.exact("/snapshot")], [.POST], [.snapshot], need: .node, code: .checkpoint,
        note: OperationNote(
            "Checkpoint this node's database and shorten its log.", [.trailingLogs, .timeout],
            [.empty(200, "It is done."), .empty(204, "There was nothing to do.")]),
        content: .none, counting: { $0.snapshots },
        work: { _, request in
            // Checked with the query string; what is not above 0 means the node's own number.
            let trailing = request.parameters[.trailingLogs].flatMap { Int64($0) } ?? 0
            return .submit(.checkpoint(keeping: trailing > 0 ? UInt64(trailing) : nil))
        },
        answer: { _, reply, _ in
            switch reply.outcome {
            case .done: Response(.ok)
            case .unchanged: Response(.noContent)
            default: nil
            }
        },
        failure: { .plain(.internalServerError, ErrorTable.text($0)) })
}
