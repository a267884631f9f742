package import Raft
package import Wire

/// The number of one attempt to agree on a bootstrap. No two attempts have the same: a proposer
/// makes its counter durable before it uses it, and the incarnation tells proposers apart.
package struct Ballot: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Counts attempts, from 1; the higher ballot wins.
    package let counter: UInt64
    /// Whose attempt it is; decides between equal counters.
    package let proposer: Incarnation

    package init(counter: UInt64, proposer: Incarnation) {
        self.counter = counter
        self.proposer = proposer
    }

    package static func < (a: Ballot, b: Ballot) -> Bool {
        a.counter == b.counter ? a.proposer < b.proposer : a.counter < b.counter
    }

    package var description: String { "\(counter)/\(proposer)" }

    package func encode(into writer: inout ByteWriter) {
        writer.write(counter)
        proposer.encode(into: &writer)
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(counter: try reader.read(), proposer: try Incarnation(from: &reader))
    }
}
