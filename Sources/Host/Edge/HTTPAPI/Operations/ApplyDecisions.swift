import JSON
import NIOHTTP1
import Raft
import Rights
import Service
import Wire

/// `/cluster/apply`: what becomes of a log entry that ended a node's process, when the node does not
/// apply it any more (docs/operations.md).
extension HTTPOperation {
    static let retryApply = HTTPOperation(
        "try an entry again", [.exact("/cluster/apply/retry")], [.POST], [.leaderOperations],
        need: .node, code: .applyDecision,
        note: OperationNote(
            "Let this node apply the entry in doubt once more.", [.timeout],
            [.empty(200, "It will.")], answerFields: [.servedBy]),
        work: { _, _ in .submit(.applyDecision(.tryAgain)) },
        answer: decided, failure: undecided)

    static let skipEntry = HTTPOperation(
        "leave an entry out", [.exact("/cluster/apply/skip")], [.POST], [.leaderOperations],
        body: .document, need: .log, code: .applyDecision,
        note: OperationNote(
            "Leave an entry out on all nodes.", [.timeout, .redirect], bodies: [.json(.entry)],
            [.empty(200, "The decision is committed.")], answerFields: [.servedBy]),
        work: { _, request in
            func number<Number: FixedWidthInteger>(_ name: String) -> Number? {
                guard case .number(let text)? = request.document?[name] else { return nil }
                return Number(text)
            }
            guard let index: UInt64 = number("index"), let hash: UInt32 = number("hash") else {
                return .respond(
                    .plain(
                        .badRequest,
                        "a JSON object with the entry's index and hash is expected, as /status "
                            + "names them"))
            }
            return .submit(
                .applyDecision(.skip(EntrySkip(index: index, hash: hash), isChecked: false)))
        },
        answer: decided, failure: undecided)

    private static let decided: @Sendable (Context, Reply, PendingReply) -> Response? = {
        desk, reply, _ in
        guard case .done = reply.outcome else { return nil }
        return desk.done(servedBy: reply.servedBy)
    }

    private static let undecided: @Sendable (ServiceError) -> ErrorTable.Answer = { error in
        if case .unsuitable = error { return .plain(.conflict, ErrorTable.text(error)) }
        return .plain(.serviceUnavailable, ErrorTable.text(error))
    }
}
