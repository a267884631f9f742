import NIOCore
import NIOHTTP1

/// What came behind a request that something must be waited for, in its order. A client may send much
/// before anybody knows who it is: so it counts as bodies do.
struct HeldParts {
    private typealias Counted = (part: HTTPServerRequestPart, byteCount: Int)

    private var parts = CircularBuffer<Counted>()
    /// Of a body, what came behind all `parts`, copied together: each piece of it would keep all that one
    /// read has brought in, and millions of pieces would be taken in one turn of the event loop.
    private var tail = ByteBuffer()
    /// What `tail` counts.
    private var tailByteCount = 0
    /// Nil: there was no room, and nothing is kept any more.
    private var share: Share?

    /// - Parameter share: of the bytes of bodies, for the client by its address.
    init(countedIn share: Share) { self.share = share }

    /// See `drop`.
    var isDropped: Bool { share == nil }

    /// - Returns: nil: there was room for it, or nothing is kept any more.
    mutating func append(_ part: HTTPServerRequestPart) -> Shortage? {
        guard let share else { return nil }
        let byteCount = Self.byteCount(of: part)
        if let shortage = share.grow(by: byteCount) { return shortage }
        if case .body(let bytes) = part {
            tail.writeImmutableBuffer(bytes)
            tailByteCount += byteCount
        } else {
            putTail()
            parts.append((part, byteCount))
        }
        return nil
    }

    private mutating func putTail() {
        guard tailByteCount > 0 else { return }
        parts.append((.body(tail), tailByteCount))
        tail = ByteBuffer()
        tailByteCount = 0
    }

    /// It counts no more: whoever takes it counts it as what it is.
    mutating func popFirst() -> HTTPServerRequestPart? {
        if parts.isEmpty { putTail() }
        guard let first = parts.popFirst() else { return nil }
        share?.shrink(by: first.byteCount)
        return first.part
    }

    /// Forgets all that was kept, and keeps nothing more.
    mutating func drop() {
        parts = CircularBuffer()
        tail = ByteBuffer()
        tailByteCount = 0
        share = nil
    }

    /// In memory, about.
    private static func byteCount(of part: HTTPServerRequestPart) -> Int {
        switch part {
        case .head(let head):
            head.heldBytes(
                fields: head.headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count })
        case .body(let bytes): 128 + bytes.readableBytes
        case .end: 128
        }
    }
}
