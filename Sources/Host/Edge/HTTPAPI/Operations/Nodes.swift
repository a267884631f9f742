import NIOHTTP1
import Rights
import Service

/// `/nodes`: all members, each asked over the network.
extension HTTPOperation {
    static let nodes = HTTPOperation(
        "nodes", [.prefix("/nodes")], [.GET], [.status], need: .node, code: .nodes,
        note: OperationNote(
            "All members, each asked over the network.",
            [.nonvoters, .version, .pretty, .timeout] + OperationParameter.idle.prefix(1),
            [.json(200, .nodes, "The members.")]),
        work: { _, request in
            .submit(.nodes(includeNonvoters: request.parameters.has(.nonvoters)))
        },
        answer: { _, reply, pending in
            guard case .nodes(let nodes) = reply.outcome else { return nil }
            let body = NodeDocument.render(
                nodes, asList: pending.parameters[.ver] == "2", pretty: pending.format.pretty)
            return Response(.ok, .json, body: body)
        },
        failure: { error in
            if case .notReady = error {
                return .plain(.serviceUnavailable, "store nodes: store not open")
            }
            return .plain(.internalServerError, "store nodes: \(ErrorTable.text(error))")
        })
}
