internal import CZlib

/// Unpacks gzip streams (RFC 1952), one behind the other, of bytes that come by and by. Belongs to
/// one thread at a time.
package struct GzipReader: ~Copyable {
    /// zlib keeps a pointer to it.
    private let stream: UnsafeMutablePointer<z_stream>
    private let isReady: Bool
    private var left: Int
    private let limit: Int
    /// A stream has ended, and no other has begun.
    private var isBetween = false

    /// The bytes are a gzip stream, by the first two of them.
    package static func recognises(_ bytes: some Collection<UInt8>) -> Bool {
        bytes.starts(with: [0x1f, 0x8b])
    }

    /// - Parameter limit: bytes that may come out, all in all: few bytes can stand for many.
    package init(limit: Int) {
        self.limit = limit
        left = limit
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        isReady = czlib_begin_reading(stream) == Z_OK
    }

    deinit {
        if isReady { inflateEnd(stream) }
        stream.deallocate()
    }

    /// Hands on what the bytes stand for, 64 KiB at most at a time.
    /// - Throws: `GzipError`, or what `sink` throws.
    package mutating func add(
        _ bytes: [UInt8], to sink: ([UInt8]) throws(GzipError) -> Void
    ) throws(GzipError) {
        guard isReady else { throw .memory }
        var done = 0
        while done < bytes.count {
            if isBetween {
                guard inflateReset(stream) == Z_OK else { throw .damaged }
                isBetween = false
            }
            var output: [UInt8] = []
            let code = step(bytes, &done, &output)
            left -= output.count
            guard left >= 0 else { throw .tooLarge(limit: limit) }
            if !output.isEmpty { try sink(output) }
            switch code {
            case Z_OK, Z_BUF_ERROR: break
            case Z_STREAM_END: isBetween = true
            case Z_MEM_ERROR: throw .memory
            default: throw .damaged
            }
            // Full output may hide more behind the last byte of input.
            if done == bytes.count, code == Z_OK,
                output.count == UnsafeMutablePointer<z_stream>.pieceBytes
            {
                try drain(to: sink)
            }
        }
    }

    /// - Throws: `GzipError.truncated` if the last stream is not complete.
    package func end() throws(GzipError) {
        guard isBetween else { throw .truncated }
    }

    private mutating func drain(to sink: ([UInt8]) throws(GzipError) -> Void) throws(GzipError) {
        while true {
            var output: [UInt8] = []
            var done = 0
            let code = step([], &done, &output)
            left -= output.count
            guard left >= 0 else { throw .tooLarge(limit: limit) }
            if !output.isEmpty { try sink(output) }
            switch code {
            case Z_OK where !output.isEmpty: continue
            case Z_OK, Z_BUF_ERROR: return
            case Z_STREAM_END:
                isBetween = true
                return
            case Z_MEM_ERROR: throw .memory
            default: throw .damaged
            }
        }
    }

    private func step(_ bytes: [UInt8], _ done: inout Int, _ output: inout [UInt8]) -> Int32 {
        bytes.withUnsafeBufferPointer { input in
            // zlib reads there alone. What may be written to would be a copy of all bytes in each step.
            stream.pointee.next_in = input.baseAddress.map {
                UnsafeMutablePointer(mutating: $0 + done)
            }
            stream.pointee.avail_in = UInt32(clamping: input.count - done)
            let code = stream.step(into: &output) { inflate($0, Z_NO_FLUSH) }
            done = input.count - Int(stream.pointee.avail_in)
            return code
        }
    }
}
