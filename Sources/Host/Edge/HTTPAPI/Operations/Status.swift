import NIOHTTP1
import Rights
import Telemetry

/// `/status`: what the parts of the daemon tell about themselves. They look at files for it, on a disk
/// that may hang.
extension HTTPOperation {
    static let status = HTTPOperation(
        answeredHere: "status", [.prefix("/status")], [.GET], [.status],
        note: OperationNote(
            "What the parts of the daemon tell about themselves.", [.key, .pretty],
            [.json(200, .status, "All of it, or the part that key names.")]),
        counting: { $0.statusReads }, isObservation: true, isSlow: true,
        work: { desk, request in
            let body = desk.documents.status(
                key: request.parameters[.key] ?? "", pretty: request.parameters.has(.pretty))
            return Response(.ok, .json, body: body)
        })
}
