package import Raft
package import Wire

/// A place in a cluster's history: what an answer had seen, and what a read must have seen. Between
/// nodes and clients it is a text, `<cluster>-<epoch>-<index>`: 32 hexadecimal digits and two numbers.
package struct CommitMark: Hashable, Sendable, CustomStringConvertible {
    /// Which cluster's log the index is in.
    package var cluster: ClusterID
    /// Which of the cluster's histories: a recovery by hand begins the next.
    package var epoch: UInt64
    /// All entries through here; perhaps none behind it.
    package var index: LogIndex

    package init(cluster: ClusterID, epoch: UInt64, index: LogIndex) {
        self.cluster = cluster
        self.epoch = epoch
        self.index = index
    }

    /// It stands in the head of every answer: so it is written digit by digit.
    package var description: String {
        String(unsafeUninitializedCapacity: 32 + 2 * (1 + Self.mostDigits)) { text in
            var count = cluster.id.write(to: text)
            count = Self.write(epoch, behindDashAt: count, to: text)
            return Self.write(index.rawValue, behindDashAt: count, to: text)
        }
    }

    /// Decimal digits of the largest number.
    private static let mostDigits = 20

    /// - Returns: where the number ends.
    private static func write(
        _ number: UInt64, behindDashAt place: Int, to text: UnsafeMutableBufferPointer<UInt8>
    ) -> Int {
        text[place] = UInt8(ascii: "-")
        var end = place + 2
        var rest = number / 10
        while rest > 0 {
            end += 1
            rest /= 10
        }
        rest = number
        for digit in stride(from: end - 1, to: place, by: -1) {
            text[digit] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        return end
    }

    /// - Returns: nil for a text that `description` never gives.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let id = RandomID(String(parts[0])),
            let epoch = UInt64(parts[1]), let index = UInt64(parts[2]),
            parts[1].utf8.first != UInt8(ascii: "+"), parts[2].utf8.first != UInt8(ascii: "+")
        else { return nil }
        self.init(cluster: ClusterID(id), epoch: epoch, index: LogIndex(index))
    }
}

/// What of a cluster's history a read must have seen.
package enum CommitDemand: Equatable, Sendable {
    /// In whatever cluster the node belongs to.
    case index(LogIndex)
    /// In this history and no other.
    case mark(CommitMark)

    /// All entries through here.
    package var index: LogIndex {
        switch self {
        case .index(let index): index
        case .mark(let mark): mark.index
        }
    }
}

/// u64 high | u64 low of the cluster's ID | u64 epoch | u64 index
extension CommitMark {
    package func encode(into writer: inout ByteWriter) {
        cluster.encode(into: &writer)
        writer.write(epoch)
        index.encode(into: &writer)
    }

    /// - Throws: `WireError` where bytes are missing.
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(
            cluster: try ClusterID(from: &reader), epoch: try reader.read(),
            index: try LogIndex(from: &reader))
    }
}

/// u8 1 index: u64 | u8 2 mark
extension CommitDemand {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .index(let index):
            writer.write(UInt8(1))
            index.encode(into: &writer)
        case .mark(let mark):
            writer.write(UInt8(2))
            mark.encode(into: &writer)
        }
    }

    /// - Throws: `WireError` for what `encode` never wrote.
    package init(from reader: inout ByteReader) throws(WireError) {
        let kind = try reader.readByte()
        switch kind {
        case 1: self = .index(try LogIndex(from: &reader))
        case 2: self = .mark(try CommitMark(from: &reader))
        default: throw .invalid(field: "demand of an index", value: UInt64(kind))
        }
    }
}
