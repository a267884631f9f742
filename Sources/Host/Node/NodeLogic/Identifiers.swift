package import Cluster
package import PeerProtocol
package import Raft

/// Names a question of another node until it is answered.
package struct PeerQuestionID: Hashable, Sendable {
    /// Given by the shell; unique within a run.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// Names a question to another node until its answer, or its failure, came back.
package struct PeerCallID: Hashable, Sendable {
    /// Counted by the machine; unique within a run.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// Names a metadata record that must be durable before its consequence.
package struct RecordID: Hashable, Sendable {
    /// Counted by the machine; unique within a run.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// Names a snapshot on its way out, from the moment the database is held for it.
package struct SnapshotSendID: Hashable, Sendable {
    /// Counted by the machine; unique within a run.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// Names a snapshot on its way in. Given by the shell, unique within a run.
package struct SnapshotReceiptID: Hashable, Sendable {
    /// Never used twice within a run.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// The database as it is held for a snapshot.
package struct OpenedSnapshot: Equatable, Sendable {
    /// What the held database holds: everything through here, and who belonged to the cluster then.
    package var mark: SnapshotMark
    /// Which database file it is.
    package var generation: Generation
    /// Of the file, without SQLite's WAL, which a checkpoint has emptied.
    package var byteCount: UInt64

    package init(mark: SnapshotMark, generation: Generation, byteCount: UInt64) {
        self.mark = mark
        self.generation = generation
        self.byteCount = byteCount
    }
}

/// Why another node could not be asked.
package struct PeerFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// In words, without the address.
    package var cause: String
    /// No answer came in time.
    package var isTimeout: Bool
    /// With the address, for people.
    package var description: String

    /// - Parameter description: nil: the cause alone.
    package init(cause: String, isTimeout: Bool = false, description: String? = nil) {
        self.cause = cause
        self.isTimeout = isTimeout
        self.description = description ?? cause
    }
}

/// What came of a question to another node.
package typealias PeerResult = Result<PeerAnswer, PeerFailure>

/// Addresses that may lead to other nodes, and what to say of those that could not be had.
package struct Candidates: Equatable, Sendable {
    /// Hosts are names or numbers; those that came by a name say which.
    package var addresses: [CandidateAddress]
    /// Says why the list is empty or partial.
    package var problem: String?

    package init(_ addresses: [PeerAddress], problem: String? = nil) {
        self.init(addresses.map { ($0, nil) }, problem: problem)
    }

    /// - Parameter found: addresses, each with the name that it was found for, if one is known.
    package init(_ found: [(PeerAddress, name: PeerAddress?)], problem: String? = nil) {
        addresses = found.map { CandidateAddress($0, name: $1) }
        self.problem = problem
    }
}
