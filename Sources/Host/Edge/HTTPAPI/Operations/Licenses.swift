import NIOHTTP1
import Rights

/// `/licenses`: the licences of the program and of what is linked into it. Nobody needs a right for it.
extension HTTPOperation {
    static let licenses = HTTPOperation(
        answeredHere: "licenses", [.exact("/licenses")], [.GET], [],
        note: OperationNote(
            "The licences of the program and of what is linked into it.", [],
            [.text(200, "All of them.")]),
        content: .text,
        work: { _, _ in Response(.ok, .text, body: LicenseText.bytes) })
}
