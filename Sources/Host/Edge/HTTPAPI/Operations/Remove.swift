import JSON
import NIOHTTP1
import Raft
import Rights
import Service

/// `/remove`: a member leaves the cluster.
extension HTTPOperation {
    static let remove = HTTPOperation(
        "remove", [.prefix("/remove")], [.DELETE], [.remove], body: .document, need: .leader,
        code: .remove,
        note: OperationNote(
            "Take a member out of the cluster.", [.timeout, .redirect], bodies: [.json(.member)],
            [.empty(200, "It is no member any more, or never was.")], answerFields: [.servedBy]),
        content: .none,
        work: { _, request in
            guard case .object(let members)? = request.document, members.count == 1,
                members[0].name == "id", let id = members[0].value.string
            else {
                return .respond(
                    .plain(.badRequest, "invalid JSON: an object with an id alone is expected"))
            }
            return .submit(.remove(NodeID(id)))
        },
        answer: { desk, reply, _ in
            guard case .done = reply.outcome else { return nil }
            return desk.done(servedBy: reply.servedBy)
        },
        failure: { .plain(.internalServerError, ErrorTable.text($0)) })
}
