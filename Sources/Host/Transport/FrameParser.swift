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

    let limit: Int
    private var buffer = ByteBuffer()

    init(limit: Int) {
        self.limit = limit
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
            buffer.readableBytes - end - Frame.headerSize >= length
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
