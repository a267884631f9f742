import NIOCore

/// The bytes of answers of one connection that were not handed to its channel yet.
struct OutgoingBytes {
    var buffer = ByteBuffer()
    /// Memory of an earlier `buffer`, used again.
    private var spare = ByteBuffer()
    /// Bytes that were handed over so far.
    private(set) var written = 0
    /// What is in `buffer` takes of what all answers may.
    private var shares: [Share] = []

    /// What was added to `buffer` last has a share, until the socket has taken it.
    mutating func hold(_ share: Share?) { if let share { shares.append(share) } }

    /// All there is, to be written now with the promise that is returned.
    mutating func take(
        _ promise: EventLoopPromise<Void>?, on loop: any EventLoop
    ) -> (ByteBuffer, EventLoopPromise<Void>?) {
        let bytes = buffer
        buffer = spare
        spare = ByteBuffer()
        written += bytes.readableBytes
        guard !shares.isEmpty else { return (bytes, promise) }
        let held = shares
        shares = []
        let taken = promise ?? loop.makePromise(of: Void.self)
        taken.futureResult.assumeIsolated().whenComplete { _ in withExtendedLifetime(held) {} }
        return (bytes, taken)
    }

    /// Uses memory again, of no more than so many bytes. It is new memory where somebody else still has it.
    mutating func reuse(_ bytes: consuming ByteBuffer, atMost most: Int) {
        guard bytes.capacity <= most else { return }
        bytes.clear()
        spare = bytes
    }

    /// Nothing is written any more.
    mutating func drop() {
        buffer = ByteBuffer()
        spare = ByteBuffer()
        shares = []
    }
}
