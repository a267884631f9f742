import NIOHTTP1
import Rights
import Telemetry

/// `/status`: what the parts of the daemon tell about themselves.
extension HTTPOperation {
    static let status = HTTPOperation(
        answeredHere: "status", [.prefix("/status")], [.GET], [.status],
        counting: { $0.statusReads }, isObservation: true,
        work: { desk, request in
            let body = desk.documents.status(
                key: request.parameters[.key] ?? "", pretty: request.parameters.has(.pretty))
            return Response(.ok, .json, body: body)
        })
}
