internal import Wire

/// What the daemon's table holds of a write that may be repeated. All have the same size, so that one
/// takes another's place without a page coming or going.
///
///     16 bytes name | 16 bytes content | u64 index | i64 milliseconds | u64 number | kept answer
struct RepeatRecord: Equatable {
    /// In bytes.
    static let byteCount = 56 + KeptAnswer.byteCount

    var key: RepeatKey
    /// Of the entry that took effect.
    var index: UInt64
    /// The log's clock at that entry.
    var milliseconds: Int64
    /// Counts all that were remembered in the life of the database.
    var number: UInt64

    func encoded(with answer: KeptAnswer.Encoded) -> [UInt8] {
        var writer = ByteWriter(reserving: Self.byteCount)
        key.encode(into: &writer)
        writer.write(index)
        writer.write(milliseconds)
        writer.write(number)
        KeptAnswer.encode(answer, into: &writer)
        precondition(writer.count == Self.byteCount, "\(writer.count)")
        return writer.bytes
    }

    /// All but the answer, which follows.
    init(from reader: inout ByteReader) throws(WireError) {
        key = try RepeatKey(from: &reader)
        index = try reader.read()
        milliseconds = try reader.read()
        number = try reader.read()
    }

    /// Whether a node may have written it: what the disk has changed may name times and numbers behind which there are none.
    var isPossible: Bool { milliseconds >= 0 && number < 1 << 62 }

    init(key: RepeatKey, index: UInt64, milliseconds: Int64, number: UInt64 = 0) {
        self.key = key
        self.index = index
        self.milliseconds = milliseconds
        self.number = number
    }
}

/// What came of a write that was sent under the key of an earlier one.
package enum Repetition: Equatable, Sendable {
    /// The result is the first one's, whose index it has.
    case answered
    /// The first one took effect at the result's index; its answer was too large to be kept.
    case done
    /// The first one, at the result's index, was another write. Nothing was done.
    case conflict
}
