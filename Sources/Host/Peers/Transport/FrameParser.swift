import NIOCore
import Wire

/// Cuts a byte stream into frames. A length over the limit is an error as soon as the header is
/// there, before memory is set aside for what it announces.
struct FrameParser {
    enum Violation: Error, Equatable {
        case tooLarge(length: Int, limit: Int)
        case checksum
        case malformed(String)
    }

    /// What can be read now.
    enum Next {
        /// Frames that are small, in their order.
        case batch(FrameBatch)
        /// One frame that is large, its checksum verified, its bytes not copied.
        case large(ByteBuffer)
    }

    /// Of the large frame that is arriving: its checksum goes along with its bytes.
    private struct Arriving {
        var checksum = CRC32C()
        var checked = Frame.headerSize
    }

    let limit: Int
    private let largeBytes: Int
    private var buffer = ByteBuffer()
    private var arriving: Arriving?

    /// - Parameter largeBytes: frames with more come alone, for who can't handle them at once.
    init(limit: Int, largeBytes: Int = .max) {
        self.limit = limit
        self.largeBytes = largeBytes
    }

    /// The length that the first frame announces, while it hasn't arrived whole. `next` has held it
    /// against the limit.
    var announcedLength: Int? {
        guard buffer.readableBytes >= Frame.headerSize else { return nil }
        return buffer.getInteger(
            at: buffer.readerIndex, endianness: .little, as: UInt32.self
        ).map(Int.init)
    }

    /// Makes room for the first frame, once its length is admitted.
    mutating func makeRoom() {
        guard let length = announcedLength, length <= limit else { return }
        buffer.reserveCapacity(buffer.readerIndex + Frame.headerSize + length)
    }

    mutating func next() throws(Violation) -> Next? {
        if let length = try payloadLength(at: 0), length > largeBytes {
            return try takeLarge(Frame.headerSize + length).map { .large($0) }
        }
        return try takeFrames().map { .batch($0) }
    }

    private mutating func takeLarge(_ count: Int) throws(Violation) -> ByteBuffer? {
        let available = min(buffer.readableBytes, count)
        var arriving = arriving ?? Arriving()
        let isNew = self.arriving == nil
        buffer.withUnsafeReadableBytes { bytes in
            if isNew { arriving.checksum.update(UnsafeRawBufferPointer(rebasing: bytes[0..<5])) }
            arriving.checksum.update(
                UnsafeRawBufferPointer(rebasing: bytes[arriving.checked..<available]))
        }
        arriving.checked = available
        self.arriving = arriving
        guard available == count else { return nil }
        self.arriving = nil
        let stated = buffer.getInteger(
            at: buffer.readerIndex + 5, endianness: .little, as: UInt32.self)
        guard stated == arriving.checksum.value, let frame = buffer.readSlice(length: count) else {
            throw .checksum
        }
        // What is left is of one read; it shall not keep the large frame's memory.
        var rest = ByteBuffer()
        rest.writeBuffer(&buffer)
        buffer = rest
        return frame
    }

    mutating func append(_ bytes: inout ByteBuffer) {
        if buffer.readableBytes == 0 { buffer = bytes } else { buffer.writeBuffer(&bytes) }
    }

    /// Hands out what is left unparsed, for a parser that takes over.
    mutating func takeRest() -> ByteBuffer {
        defer { buffer = ByteBuffer() }
        return buffer
    }

    /// The complete frames that have arrived, up to a number; nil when there is none.
    mutating func takeFrames(atMost count: Int = .max) throws(Violation) -> FrameBatch? {
        var end = 0
        var frames: [Frame] = []
        while frames.count < count, let length = try payloadLength(at: end),
            length <= largeBytes, buffer.readableBytes - end - Frame.headerSize >= length
        {
            let start = end + Frame.headerSize
            let kind: UInt8 = buffer.getInteger(at: buffer.readerIndex + end + 4) ?? 0
            frames.append(Frame(rawKind: kind, payload: start..<start + length))
            end = start + length
        }
        guard end > 0, let bytes = buffer.readBytes(length: end) else { return nil }
        if buffer.readableBytes == 0 {
            buffer = ByteBuffer()
        } else {
            buffer.discardReadBytes()
        }
        for frame in frames where !Self.isIntact(frame, in: bytes) { throw .checksum }
        return FrameBatch(bytes: bytes, frames: frames)
    }

    private func payloadLength(at offset: Int) throws(Violation) -> Int? {
        guard buffer.readableBytes - offset >= Frame.headerSize,
            let length = buffer.getInteger(
                at: buffer.readerIndex + offset, endianness: .little, as: UInt32.self)
        else { return nil }
        guard Int(length) <= limit else { throw .tooLarge(length: Int(length), limit: limit) }
        return Int(length)
    }

    private static func isIntact(_ frame: Frame, in bytes: [UInt8]) -> Bool {
        let start = frame.payload.lowerBound - Frame.headerSize
        return bytes.withUnsafeBytes {
            let stated = UInt32(
                littleEndian: $0.loadUnaligned(fromByteOffset: start + 5, as: UInt32.self))
            return stated
                == Frame.checksum(
                    of: UnsafeRawBufferPointer(rebasing: $0[start..<frame.payload.upperBound]))
        }
    }
}
