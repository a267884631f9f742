import NIOHTTP1
import Rights

/// `/debug/vars`: counters and gauges.
extension HTTPOperation {
    static let variables = HTTPOperation(
        answeredHere: "variables", [.exact("/debug/vars")], nil, [.status],
        note: OperationNote(
            "Counters and gauges, under rqlite's names.", [.key],
            [.json(200, .status, "All of them, or those under key.")]),
        isObservation: true,
        work: { desk, request in
            Response(.ok, .json, body: desk.documents.variables(key: request.parameters[.key]))
        })
}
