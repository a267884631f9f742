package import Raft

/// What is written together: after a crash either all of a batch is found or nothing of it.
package struct LogBatch: Equatable, Sendable {
    /// Take effect before the rest of the batch.
    package var records: [MetadataRecord]
    /// Nil if it stays as it is.
    package var hardState: HardState?
    /// Contiguous. Entries that the log holds at or after the first one's index are discarded
    /// (thesis §3.5).
    package var entries: [Entry]
    /// Known to be committed. A hint: it need not be made durable for its own sake.
    package var commitIndex: LogIndex?

    package init(
        hardState: HardState? = nil, entries: [Entry] = [], commitIndex: LogIndex? = nil,
        records: [MetadataRecord] = []
    ) {
        self.hardState = hardState
        self.entries = entries
        self.commitIndex = commitIndex
        self.records = records
    }

    /// There is nothing to write.
    package var isEmpty: Bool {
        records.isEmpty && hardState == nil && entries.isEmpty && commitIndex == nil
    }
}

/// Facts about the node that live in its log, because they must become durable in order with the
/// entries. Each replaces what an earlier one of its kind said.
package enum MetadataRecord: Equatable, Sendable {
    case identity(NodeIdentity)
    case cluster(ClusterID)
    /// The database generation in use.
    case generation(UInt64)
    /// A cluster of which this node must never become a member again; they add up. Of the node's own
    /// cluster, in a log without entries, it also takes back `cluster` and `bootstrapMembership`: the
    /// node is in no cluster then. A log that holds entries keeps its cluster.
    case abandoned(ClusterID)
    /// The state of the cluster's formation, opaque here.
    case formation([UInt8])
    /// What the node claimed or founded by way of a registry, opaque here.
    case registry([UInt8])
    /// The membership that stands before any entry: the log must be empty.
    case bootstrapMembership(Membership)
    /// An operator recovered the cluster: this membership takes the place of every other in the
    /// log, as of the entry that the database has applied; the terms go on in the next epoch, and
    /// the cluster has another ID.
    case recovered(ClusterID, Membership, at: LogIndex)
    /// Whether this node's database is to be trusted, opaque here.
    case quarantine([UInt8])
    /// The node holds everything that the leader knew to be committed: it may vote again after its
    /// log was found damaged.
    case caughtUp
}
