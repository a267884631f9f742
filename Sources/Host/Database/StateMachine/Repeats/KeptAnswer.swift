internal import Wire

/// What is kept of the answer to a write that may be repeated: all of it, unless it is too large.
/// Times are not kept, since they differ from node to node.
///
///     u8 kind | u16 size of the content | content, and zeros up to 904 bytes in all
///     kind 1  results  pieces, of which each is
///                        u8 1 | u8 is read | varints: count, first ID, step, rows affected:
///                             changes whose IDs follow each other in equal steps
///                        u8 2 | statement result
///     kind 2  error    text: the request failed as a whole
///     kind 3  omitted
///
/// Varints hold 7 bits a byte, the lowest first; signed numbers are in zigzag form.
enum KeptAnswer: Equatable {
    case results([StatementResult])
    case error(String)
    case omitted

    static let byteCount = 904
    private static let headSize = 3
    static let contentLimit = byteCount - headSize

    /// Exactly `byteCount` bytes.
    static func encode(_ content: Encoded, into writer: inout ByteWriter) {
        let start = writer.count
        writer.write(content.kind)
        writer.write(UInt16(content.bytes.count))
        writer.writeRaw(content.bytes)
        writer.writeZeros(byteCount - (writer.count - start))
    }

    /// The content with its kind.
    struct Encoded: Equatable {
        var kind: UInt8
        var bytes: [UInt8]

        static let omitted = Encoded(kind: 3, bytes: [])

        init(kind: UInt8, bytes: [UInt8]) {
            self.kind = kind
            self.bytes = bytes
        }

        init(error text: String) {
            self =
                text.utf8.count <= KeptAnswer.contentLimit
                ? Encoded(kind: 2, bytes: Array(text.utf8)) : .omitted
        }
    }

    /// - Parameter limit: statements of the write, each of which has one result at most: of some bytes that the disk has
    ///   spoilt more would come than any memory holds.
    /// - Throws: `WireError` for what `encode` never wrote.
    init(from reader: inout ByteReader, atMost limit: Int) throws(WireError) {
        let kind = try reader.readByte()
        let size = Int(try reader.read(UInt16.self))
        guard size <= Self.contentLimit else {
            throw .tooLong(count: size, limit: Self.contentLimit)
        }
        let content = try reader.readRaw(size)
        try reader.skip(Self.contentLimit - size)
        switch kind {
        case 1: self = .results(try Self.results(content, atMost: limit))
        case 2: self = .error(String(decoding: content, as: UTF8.self))
        case 3: self = .omitted
        default: throw .invalid(field: "kept answer", value: UInt64(kind))
        }
    }

    private static func results(
        _ content: [UInt8], atMost limit: Int
    ) throws(WireError) -> [StatementResult] {
        var reader = ByteReader(content)
        var results: [StatementResult] = []
        while !reader.isAtEnd {
            let tag = try reader.readByte()
            switch tag {
            case 1:
                let isRead = try reader.readBool()
                let count = try reader.readVarint()
                guard count <= UInt64(max(0, limit - results.count)) else {
                    throw .tooLong(count: Int(clamping: count), limit: limit)
                }
                var id = try reader.readSignedVarint()
                let step = try reader.readSignedVarint()
                let affected = try reader.readSignedVarint()
                for _ in 0..<count {
                    results.append(
                        StatementResult(
                            .changed(lastInsertID: id, rowsAffected: affected), isRead: isRead))
                    id &+= step
                }
            case 2: results.append(try StatementResult(from: &reader))
            default: throw .invalid(field: "piece of a kept answer", value: UInt64(tag))
            }
        }
        return results
    }
}

/// Encodes results as they become final.
struct KeptAnswerEncoder {
    /// Changes whose IDs follow each other.
    private struct Run {
        var isRead: Bool
        var count: UInt64 = 1
        var first: Int64
        var last: Int64
        var step: Int64 = 0
        var affected: Int64
    }

    private var writer = ByteWriter()
    private var run: Run?
    /// Results that can't change any more and are encoded.
    private(set) var sealed = 0

    /// - Parameter results: those that were given before, and others behind them; only the last may
    ///   change until the next call.
    /// - Returns: nil if they are too large to be kept.
    mutating func encode(_ results: [StatementResult]) -> KeptAnswer.Encoded? {
        while sealed + 1 < results.count, writer.count <= KeptAnswer.contentLimit {
            append(results[sealed])
            sealed += 1
        }
        var whole = self
        if let last = results.last, whole.writer.count <= KeptAnswer.contentLimit {
            whole.append(last)
        }
        whole.endRun()
        guard whole.writer.count <= KeptAnswer.contentLimit else { return nil }
        return KeptAnswer.Encoded(kind: 1, bytes: whole.writer.bytes)
    }

    private mutating func append(_ result: StatementResult) {
        if case .changed(let id, let affected) = result.outcome {
            return append(id, affected, isRead: result.isRead)
        }
        endRun()
        writer.write(UInt8(2))
        guard result.byteCount <= 2 * KeptAnswer.contentLimit else {
            // Too large whatever follows.
            return writer.writeZeros(KeptAnswer.contentLimit)
        }
        var timeless = result
        timeless.nanoseconds = 0
        timeless.encode(into: &writer)
    }

    private mutating func append(_ id: Int64, _ affected: Int64, isRead: Bool) {
        if var run, run.isRead == isRead, run.affected == affected,
            run.count == 1 || id == run.last &+ run.step
        {
            if run.count == 1 { run.step = id &- run.first }
            run.last = id
            run.count += 1
            self.run = run
            return
        }
        endRun()
        run = Run(isRead: isRead, first: id, last: id, affected: affected)
    }

    private mutating func endRun() {
        guard let run else { return }
        self.run = nil
        writer.write(UInt8(1))
        writer.write(run.isRead)
        writer.writeVarint(run.count)
        writer.writeVarint(run.first)
        writer.writeVarint(run.step)
        writer.writeVarint(run.affected)
    }
}

extension ByteWriter {
    fileprivate mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            write(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        write(UInt8(rest))
    }

    fileprivate mutating func writeVarint(_ value: Int64) {
        writeVarint(UInt64(bitPattern: value << 1 ^ value >> 63))
    }
}

extension ByteReader {
    fileprivate mutating func readVarint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let byte = try readByte()
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw .invalid(field: "varint", value: value)
    }

    fileprivate mutating func readSignedVarint() throws(WireError) -> Int64 {
        let bits = try readVarint()
        return Int64(bitPattern: bits >> 1) ^ -Int64(bitPattern: bits & 1)
    }
}
