import NIOHTTP1
import Rights

/// `/debug/vars`: counters and gauges.
extension HTTPOperation {
    static let variables = HTTPOperation(
        answeredHere: "variables", [.exact("/debug/vars")], nil, [.status], isObservation: true,
        work: { desk, request in
            Response(.ok, .json, body: desk.documents.variables(key: request.parameters[.key]))
        })
}
