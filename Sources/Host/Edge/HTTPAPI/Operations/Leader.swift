import JSON
import NIOCore
import NIOHTTP1
import Raft
import Rights
import Service

/// `/leader`: who leads, and handing leadership over.
extension HTTPOperation {
    static let leader = HTTPOperation(
        "leader", [.exact("/leader")], [.GET], [.leaderOperations], need: .node, code: .leader,
        note: OperationNote(
            "The node that leads.",
            [.pretty, .timeout] + OperationParameter.idle.prefix(1),
            [.json(200, .node, "The leader, asked over the network.")]),
        work: { _, _ in .submit(.leader) },
        answer: { _, reply, pending in
            guard case .leader(let node) = reply.outcome else { return nil }
            return Response(
                .ok, .json, body: NodeDocument.render(node, pretty: pending.format.pretty))
        },
        failure: { error in
            if case .notReady = error {
                return .plain(.serviceUnavailable, ErrorTable.leaderNotFound)
            }
            return .plain(.internalServerError, "leader: \(ErrorTable.text(error))")
        })

    static let transferLeadership = HTTPOperation(
        "stepdown", [.exact("/leader")], [.POST], [.leaderOperations], body: .document,
        need: .leader, code: .transferLeadership,
        note: OperationNote(
            "Hand leadership over.", [.transferWait, .timeout, .redirect],
            bodies: [.json(.successor, isOptional: true)],
            [.empty(200, "It was asked for, or with wait is done.")], answerFields: [.servedBy]),
        work: { _, request in
            var successor: NodeID?
            let length = request.body?.readableBytes ?? 0
            if length > 0, request.headers.first(name: "content-type") == "application/json" {
                guard case .object(let members)? = request.document else {
                    return .respond(
                        .plain(.badRequest, "invalid JSON: an object with an id is expected"))
                }
                switch members.last(where: { $0.name == "id" })?.value {
                case nil, .null?: break
                case .string(let id)?: if !id.isEmpty { successor = NodeID(id) }
                default:
                    return .respond(
                        .plain(.badRequest, "invalid JSON: the id of a node is a string"))
                }
            }
            return .submit(
                .transferLeadership(to: successor, wait: request.parameters.has(.wait)))
        },
        answer: { desk, reply, _ in
            guard case .done = reply.outcome else { return nil }
            return desk.done(servedBy: reply.servedBy)
        },
        failure: { error in
            if case .notReady = error {
                return .plain(.serviceUnavailable, "stepdown: store not open")
            }
            let text =
                if case .timedOut = error {
                    "leadership transfer timeout"
                } else { ErrorTable.text(error) }
            return .plain(.internalServerError, "stepdown: \(text)")
        })
}
