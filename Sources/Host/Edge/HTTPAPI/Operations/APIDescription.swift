import NIOHTTP1
import Rights

/// `/openapi.json`: what the API takes and answers, for programs. It shows nothing of the node but its
/// version, which every answer has, so nobody needs a right for it.
extension HTTPOperation {
    static let apiDescription = HTTPOperation(
        answeredHere: "api description", [.exact("/openapi.json")], [.GET], [],
        note: OperationNote(
            "This document.", [], [.json(200, .status, "An OpenAPI document.")]),
        work: { desk, _ in Response(.ok, .json, body: desk.apiDocument.bytes) })
}
