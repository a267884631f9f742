/// What an entry carries. Commands are opaque here.
package enum Payload: Hashable, Sendable {
    /// The first entry of a leader's term (thesis §6.4).
    case noop
    case command([UInt8])
    case membership(Membership)

    /// Bytes it holds in memory and on disk, roughly.
    package var size: Int {
        switch self {
        case .noop: 0
        case .command(let bytes): bytes.count
        case .membership(let membership):
            membership.members.reduce(0) {
                $0 + 64 + $1.id.rawValue.utf8.count + $1.address.rawValue.utf8.count
            }
        }
    }
}

/// One record of the replicated log.
package struct Entry: Hashable, Sendable {
    /// Its place, from 1.
    package var index: LogIndex
    /// Of the leader that made it.
    package var term: Term
    /// What it carries.
    package var payload: Payload

    package init(index: LogIndex, term: Term, payload: Payload) {
        self.index = index
        self.term = term
        self.payload = payload
    }

    /// Index and term together.
    package var position: LogPosition { LogPosition(index: index, term: term) }
    /// What an entry counts against limits in bytes.
    package var size: Int { payload.size + 32 }
}

/// An entry named by index and term, which is unique in a cluster (log matching, thesis §3.5).
package struct LogPosition: Hashable, Sendable, CustomStringConvertible {
    /// Of the entry, or 0 before the first.
    package var index: LogIndex
    /// Of the entry at the index.
    package var term: Term

    package init(index: LogIndex, term: Term) {
        self.index = index
        self.term = term
    }

    /// Before the first entry.
    package static let zero = LogPosition(index: .zero, term: .zero)

    /// Whether a log ending here is at least as complete as one ending at `other` (thesis §3.6.1).
    package func isUpToDate(with other: LogPosition) -> Bool {
        term > other.term || (term == other.term && index >= other.index)
    }

    package var description: String { "\(term):\(index)" }
}

/// What must be durable before a message that depends on it is sent (thesis §3.8).
package struct HardState: Equatable, Sendable {
    /// For whom a node voted: the node with the disk that it had then.
    package struct Vote: Equatable, Sendable {
        /// Who asked.
        package var candidate: NodeID
        /// Of the candidate's data directory.
        package var incarnation: Incarnation

        package init(candidate: NodeID, incarnation: Incarnation) {
            self.candidate = candidate
            self.incarnation = incarnation
        }
    }

    /// The latest the node has seen; never goes back.
    package var term: Term
    /// In this term; nil if the node did not vote.
    package var votedFor: Vote?

    package init(term: Term = .zero, votedFor: Vote? = nil) {
        self.term = term
        self.votedFor = votedFor
    }
}
