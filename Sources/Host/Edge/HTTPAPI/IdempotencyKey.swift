import NIOHTTP1
import Rights
import Wire

/// The header field `Idempotency-Key` of a write: under it the write may be sent again, to any node,
/// and takes effect once (docs/decisions/0139-a-write-may-be-repeated.md).
enum IdempotencyKey {
    /// A text for the client, which gets it with status 400.
    struct Fault: Error, Equatable {
        let text: String
    }

    /// Bytes that a key may have.
    static let longest = 255

    static let queuedText =
        "a queued write can't have an Idempotency-Key: it is carried out with others"

    /// The key that a request gives; nil for one without, and for what only reads.
    static func of(_ request: HTTPRequest, _ kind: CommandKind) -> Result<String?, Fault> {
        guard kind != .query else { return .success(nil) }
        let given = request.headers["idempotency-key"]
        guard let key = given.first else { return .success(nil) }
        guard given.count == 1 else {
            return .failure(Fault(text: "Idempotency-Key is given more than once"))
        }
        let isPlain = key.utf8.allSatisfy { (0x20...0x7E).contains($0) }
        guard isPlain, (1...longest).contains(key.utf8.count) else {
            return .failure(
                Fault(text: "Idempotency-Key is not 1 to \(longest) printable ASCII characters"))
        }
        return .success(key)
    }
}

extension Credential {
    /// Who it names, in a form that no other's is equal to. Passwords don't count, so that one may be
    /// changed between a write and its repetition.
    var principal: String {
        switch self {
        case .none: ""
        case .password(let user, _): "user \(user)"
        case .token(let token): "token \(token)"
        }
    }
}
