import JSON
import NIOHTTP1
import Raft
import Rights
import Service

/// `/cluster/drop`: a node that waits for a cluster is told that addresses of its list are gone for
/// good. It is for that node alone, and sent on to no other.
extension HTTPOperation {
    static let drop = HTTPOperation(
        "drop addresses", [.exact("/cluster/drop")], [.POST], [.remove], body: .document,
        need: .node, code: .drop,
        note: OperationNote(
            "Tell a node that waits for a cluster which addresses are gone for good.", [.timeout],
            bodies: [.json(.addresses)],
            [.empty(200, "They don't count any more.")], answerFields: [.servedBy]),
        content: .none,
        work: { _, request in
            guard case .array(let values)? = request.document, !values.isEmpty,
                values.count <= 256
            else { return .respond(.plain(.badRequest, wanted)) }
            let addresses = values.compactMap(\.string).filter { !$0.isEmpty }
            guard addresses.count == values.count else {
                return .respond(.plain(.badRequest, wanted))
            }
            return .submit(.drop(addresses.map { PeerAddress($0) }))
        },
        answer: { desk, reply, _ in
            guard case .done = reply.outcome else { return nil }
            return desk.done(servedBy: reply.servedBy)
        },
        failure: { error in
            let text = "nothing was dropped: \(ErrorTable.text(error))"
            if case .unsuitable = error { return .plain(.conflict, text) }
            return .plain(.serviceUnavailable, text)
        })

    private static let wanted =
        "invalid JSON: an array of 1 to 256 addresses is expected, as the node's waiting line has it"
}
