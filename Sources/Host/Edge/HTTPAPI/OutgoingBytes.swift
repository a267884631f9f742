import NIOCore

/// The bytes of answers of one connection that were not handed to its channel yet.
struct OutgoingBytes {
    var buffer = ByteBuffer()
    /// Memory of an earlier `buffer`, used again.
    private var spare = ByteBuffer()
    /// Bytes that were handed over so far.
    private(set) var written = 0

    /// All there is, to be written now.
    mutating func take() -> ByteBuffer {
        let bytes = buffer
        buffer = spare
        spare = ByteBuffer()
        written += bytes.readableBytes
        return bytes
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
    }
}
