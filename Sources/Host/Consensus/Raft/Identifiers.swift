/// The number of an election period (Raft thesis §3.3). It never goes back.
///
/// Its upper 32 bits are the epoch, which only a recovery by hand moves; the lower 32 count the
/// elections in it. Arithmetic ends at the last number instead of trapping, for peers name terms:
/// how far one of them may move this node's is said in `Reach`.
package struct Term: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The epoch in the upper half, the count of elections in the lower.
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Before the first election.
    package static let zero = Term(0)
    /// The next term of the same epoch. The last one has none: it stays, and `isLastOfEpoch` tells.
    package var next: Term { isLastOfEpoch ? self : Term(rawValue + 1) }
    /// No election is possible after it but by a recovery, which begins the next epoch.
    package var isLastOfEpoch: Bool { number == .max }
    package static func < (a: Term, b: Term) -> Bool { a.rawValue < b.rawValue }

    /// How often the cluster was recovered by hand until then: each time its terms go on in the
    /// next epoch, far above all that were, so that the log tells what was before.
    package var epoch: UInt64 { rawValue >> 32 }
    /// The term's number within its epoch.
    package var number: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
    /// Higher than every term of this epoch, and not yet in use. Of the last epoch, which four
    /// thousand million recoveries would reach, it is the last term.
    package var nextEpoch: Term {
        epoch < UInt64(UInt32.max) ? Term((epoch + 1) << 32) : Term(.max)
    }
    package var description: String { "\(rawValue)" }
}

/// The place of an entry in the log, from 1. Zero means "before the first".
///
/// Arithmetic ends at the last number instead of trapping, for peers name indexes; `Reach` says
/// which of theirs count.
package struct LogIndex: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// From 1; 0 stands before the first entry.
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Before the first entry.
    package static let zero = LogIndex(0)
    /// The index behind it; the last there is has none and stays.
    package var next: LogIndex { LogIndex(rawValue == .max ? .max : rawValue + 1) }
    /// The index before this one; zero stays zero.
    package var previous: LogIndex { LogIndex(rawValue == 0 ? 0 : rawValue - 1) }
    /// - Parameter count: of entries, not negative.
    package func advanced(by count: Int) -> LogIndex {
        let (sum, isOver) = rawValue.addingReportingOverflow(UInt64(count))
        return LogIndex(isOver ? .max : sum)
    }
    /// How many entries lie in (`start`, self]; zero when `start` is not before it.
    package func distance(from start: LogIndex) -> Int {
        rawValue > start.rawValue ? Int(clamping: rawValue - start.rawValue) : 0
    }
    package static func < (a: LogIndex, b: LogIndex) -> Bool { a.rawValue < b.rawValue }
    package var description: String { "\(rawValue)" }
}

/// The name an operator gave to a node. It never changes over the node's life. Names differ where
/// their bytes differ: Swift takes `é` for the same in whichever way Unicode writes it, and orders
/// texts by tables that may differ between its versions.
package struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// As the operator wrote it; at most 255 bytes.
    package let rawValue: String

    package init(_ rawValue: String) { self.rawValue = rawValue }

    package static func == (a: NodeID, b: NodeID) -> Bool { a.rawValue.hasBytes(of: b.rawValue) }
    package static func < (a: NodeID, b: NodeID) -> Bool {
        a.rawValue.utf8.lexicographicallyPrecedes(b.rawValue.utf8)
    }
    package var description: String { rawValue }
}

/// 128 random bits, written as 32 hexadecimal digits.
package struct RandomID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The first 64 bits.
    package let high: UInt64
    /// The other 64 bits.
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func < (a: RandomID, b: RandomID) -> Bool {
        (a.high, a.low) < (b.high, b.low)
    }

    package var description: String {
        String(unsafeUninitializedCapacity: 32) { write(to: $0) }
    }

    /// Writes what `description` says to the beginning of memory for it, 32 bytes at least.
    /// - Returns: 32.
    package func write(to text: UnsafeMutableBufferPointer<UInt8>) -> Int {
        for place in 0..<32 {
            let half = place < 16 ? high : low
            let digit = UInt8(truncatingIfNeeded: half >> UInt64(60 - place % 16 * 4)) & 15
            text[place] = digit + (digit < 10 ? 0x30 : 0x57)
        }
        return 32
    }

    /// 32 hexadecimal digits, as `description` writes them; nil for anything else.
    package init?(_ text: String) {
        guard text.utf8.count == 32 else { return nil }
        var (high, low) = (UInt64(0), UInt64(0))
        for byte in text.utf8 {
            guard let digit = Self.digit(byte) else { return nil }
            (high, low) = (high << 4 | low >> 60, low << 4 | digit)
        }
        self.init(high: high, low: low)
    }

    private static func digit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}

/// Made with a data directory: a wiped disk under an old node ID is a new incarnation, and so can
/// neither vote twice nor forget what it acknowledged.
package struct Incarnation: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Made with the data directory.
    package let id: RandomID
    package init(_ id: RandomID) { self.id = id }
    package static func < (a: Incarnation, b: Incarnation) -> Bool { a.id < b.id }
    package var description: String { id.description }
}

/// Made when a cluster is bootstrapped; it stands in every message between nodes.
package struct ClusterID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Agreed on when the cluster is founded.
    package let id: RandomID
    package init(_ id: RandomID) { self.id = id }
    package static func < (a: ClusterID, b: ClusterID) -> Bool { a.id < b.id }
    package var description: String { id.description }
}

/// Where a node's Raft port can be reached: `host:port`, IPv6 in brackets, names kept as names.
/// Compared by its bytes, like `NodeID`.
package struct PeerAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// `host:port`, IPv6 in brackets; not looked at here.
    package let rawValue: String
    package init(_ rawValue: String) { self.rawValue = rawValue }
    package static func == (a: PeerAddress, b: PeerAddress) -> Bool {
        a.rawValue.hasBytes(of: b.rawValue)
    }
    package static func < (a: PeerAddress, b: PeerAddress) -> Bool {
        a.rawValue.utf8.lexicographicallyPrecedes(b.rawValue.utf8)
    }
    package var description: String { rawValue }
}

extension String {
    /// What isn't equal to Swift has other bytes; what is may have, unless all of it is ASCII.
    fileprivate func hasBytes(of other: String) -> Bool {
        guard self == other else { return false }
        if utf8Span.isKnownASCII, other.utf8Span.isKnownASCII { return true }
        return utf8.elementsEqual(other.utf8)
    }
}
