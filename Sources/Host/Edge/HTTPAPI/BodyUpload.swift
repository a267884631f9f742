import NIOCore

/// The body of a request that is taken in parts: what has come and waits to be taken. While some of
/// it is being taken, all that comes gathers for the next turn, so that a client's chunks may be as
/// small as they like. Belongs to an event loop.
final class BodyUpload {
    let intake: any LoadIntake
    /// One of the places for uploads.
    let share: Share
    private var waiting = ByteBuffer()
    private var isAtWork = false
    private var byteCount = 0
    private var start: [UInt8] = []

    /// - Parameter share: one of these places.
    init(_ edge: Edge, holding share: Share) {
        self.share = share
        intake = edge.loads()
    }

    func append(_ part: ByteBuffer) {
        byteCount += part.readableBytes
        start += part.readableBytesView.prefix(KeptBody.startBytes - start.count)
        waiting.writeImmutableBuffer(part)
    }

    /// What is to be taken next, after which `end` is called; nil: nothing, or not yet.
    func begin() -> ByteBuffer? {
        guard !isAtWork, waiting.readableBytes > 0 else { return nil }
        isAtWork = true
        defer { waiting = ByteBuffer() }
        return waiting
    }

    func end() { isAtWork = false }

    /// To be asked when all has been taken.
    var body: KeptBody { KeptBody(intake: intake, byteCount: byteCount, start: start) }
}

/// A body that came in parts, and is kept by what took them.
struct KeptBody: Sendable {
    static let startBytes = 16

    let intake: any LoadIntake
    /// As the client sent it; never 0.
    let byteCount: Int
    /// Its first bytes, `startBytes` at most.
    let start: [UInt8]
}
