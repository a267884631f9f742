package import Raft
package import Wire

/// What an opened database says of itself, as far as starts and recoveries look at it. The database
/// changes it in the transaction that writes the rows, so the two never disagree.
package struct StoredDatabase: Equatable, Sendable {
    /// The last entry that is applied as a whole.
    package var position = LogPosition.zero
    /// Nil until the node belongs to a cluster.
    package var cluster: ClusterID?
    /// The last that was applied.
    package var membership = Membership()
    /// The entry that set the membership. `membershipIndex <= position.index`.
    package var membershipIndex = LogIndex.zero
    /// Entries that were left out.
    package var skips: [EntrySkip] = []
    /// Entries ahead that an earlier recovery leaves out.
    package var decided: [EntrySkip] = []

    /// It keeps a trace of the rows that are written, for checksums.
    package var isTraced = false

    /// Of a database that nothing was applied in.
    package init() {}

    package init(
        position: LogPosition, cluster: ClusterID?, membership: Membership,
        membershipIndex: LogIndex
    ) {
        self.position = position
        self.cluster = cluster
        self.membership = membership
        self.membershipIndex = membershipIndex
    }
}
