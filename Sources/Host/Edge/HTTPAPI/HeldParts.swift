import NIOCore
import NIOHTTP1

/// What came behind a request that something must be waited for, in its order. A client may send much
/// before anybody knows who it is: so it counts as bodies do.
struct HeldParts {
    private var parts = CircularBuffer<HTTPServerRequestPart>()
    /// Nil: there was no room, and nothing is kept any more.
    private var share: Share?

    /// - Parameter account: of the client by its address.
    init(_ edge: Edge, for account: ClientAccount) {
        share = Share(of: edge.budgets.bodyBytes, for: account)
    }

    /// See `drop`.
    var isDropped: Bool { share == nil }

    /// - Returns: nil: there was room for it, or nothing is kept any more.
    mutating func append(_ part: HTTPServerRequestPart) -> Shortage? {
        guard let share else { return nil }
        if let shortage = share.grow(by: Self.byteCount(of: part)) { return shortage }
        parts.append(part)
        return nil
    }

    mutating func popFirst() -> HTTPServerRequestPart? { parts.popFirst() }

    /// Forgets all that was kept, and keeps nothing more.
    mutating func drop() {
        parts = CircularBuffer()
        share = nil
    }

    /// In memory, about.
    private static func byteCount(of part: HTTPServerRequestPart) -> Int {
        switch part {
        case .head(let head):
            head.headers.reduce(512 + head.uri.utf8.count) { sum, field in
                sum + 64 + field.name.utf8.count + field.value.utf8.count
            }
        case .body(let bytes): 128 + bytes.readableBytes
        case .end: 128
        }
    }
}
