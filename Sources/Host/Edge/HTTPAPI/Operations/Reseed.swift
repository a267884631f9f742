import NIOHTTP1
import Rights
import Service

/// `/cluster/reseed`: this node's database is replaced by the leader's.
extension HTTPOperation {
    static let reseed = HTTPOperation(
        "reseed", [.exact("/cluster/reseed")], [.POST], [.leaderOperations], need: .node,
        code: .reseed,
        note: OperationNote(
            "Replace this node's database by the leader's.", [.timeout],
            [.empty(200, "It will be.")], answerFields: [.servedBy]),
        content: .none,
        work: { _, _ in .submit(.reseed) },
        answer: { desk, reply, _ in
            guard case .done = reply.outcome else { return nil }
            return desk.done(servedBy: reply.servedBy)
        },
        failure: { .plain(.serviceUnavailable, "reseed: \(ErrorTable.text($0))") })
}
