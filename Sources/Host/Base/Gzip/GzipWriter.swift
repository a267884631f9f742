internal import CZlib

/// Makes one gzip stream (RFC 1952) of bytes that come by and by. Belongs to one thread at a time.
package struct GzipWriter: ~Copyable {
    /// zlib keeps a pointer to it.
    private let stream: UnsafeMutablePointer<z_stream>
    private let isReady: Bool

    /// The fastest level: a copy of a database is limited by its disk, not by its size.
    package init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        isReady = czlib_begin_writing(stream, Z_BEST_SPEED) == Z_OK
    }

    deinit {
        if isReady { deflateEnd(stream) }
        stream.deallocate()
    }

    /// What of the stream can be said after these bytes; nothing, for most of them.
    /// - Parameter isLast: no more come; the stream ends.
    /// - Throws: `GzipError.memory`.
    package func add(_ bytes: [UInt8], isLast: Bool = false) throws(GzipError) -> [UInt8] {
        guard isReady else { throw .memory }
        var output: [UInt8] = []
        var code = Z_OK
        bytes.withUnsafeBufferPointer { input in
            // zlib reads there alone.
            stream.pointee.next_in = input.baseAddress.map { UnsafeMutablePointer(mutating: $0) }
            stream.pointee.avail_in = UInt32(clamping: input.count)
            repeat {
                code = stream.step(into: &output) { deflate($0, isLast ? Z_FINISH : Z_NO_FLUSH) }
            } while code == Z_OK && (stream.pointee.avail_in > 0 || isLast)
        }
        guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else { throw .memory }
        return output
    }
}

extension UnsafeMutablePointer<z_stream> {
    /// Bytes that one step gives at most.
    static let pieceBytes = 64 << 10

    /// One step of zlib, whose output is appended.
    func step(
        into output: inout [UInt8], _ body: (UnsafeMutablePointer<z_stream>) -> Int32
    ) -> Int32 {
        var code = Z_OK
        output += [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { buffer, count in
            pointee.next_out = buffer.baseAddress
            pointee.avail_out = UInt32(Self.pieceBytes)
            code = body(self)
            count = Self.pieceBytes - Int(pointee.avail_out)
        }
        return code
    }
}

/// Why bytes can't be packed or unpacked.
package enum GzipError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There is none left.
    case memory
    /// The bytes are no gzip stream, or a damaged one.
    case damaged
    /// The bytes end before the stream does.
    case truncated
    /// More came out than may; in bytes.
    case tooLarge(limit: Int)

    package var description: String {
        switch self {
        case .memory: "no memory is left to pack or unpack it"
        case .damaged: "it is no gzip stream, or a damaged one"
        case .truncated: "its gzip stream breaks off"
        case .tooLarge(let limit): "unpacked it is larger than the limit of \(limit) bytes"
        }
    }
}
