package import Raft
package import Wire

/// What the database says about itself: how far the log is applied in it, and what of the cluster
/// is fixed by the log. It changes in the same SQLite transaction as the rows, so that the two can
/// never disagree.
package struct AppliedState: Equatable, Sendable {
    /// The last entry applied as a whole.
    package var position: LogPosition
    /// Nil until the node belongs to a cluster.
    package var cluster: ClusterID?
    /// The last that was applied.
    package var membership: Membership
    /// The entry that set the membership.
    package var membershipIndex: LogIndex
    /// What was chosen when the cluster was formed.
    package var settings: ClusterSettings
    /// Entries that were left out, the last ones, by decisions that the log holds.
    package var skips: [EntrySkip] = []
    /// Entries ahead that are to be left out by an operator's word, without an entry that says so.
    package var decided: [EntrySkip] = []
    /// The clock of the last applied command; it never goes back.
    package var lastMilliseconds: Int64
    /// When VACUUM and the like were last run.
    package var upkeep = UpkeepTimes()
    /// The trace of the rows written since it began; nil: none is kept. See `RowTrace`.
    package var trace: Digest?
    /// A load whose parts come; nil: none.
    package var load: OpenLoad?
    /// How much of the entry after `position` is done, when it is applied unit by unit.
    var progress: EntryProgress?

    package init(
        position: LogPosition = .zero, cluster: ClusterID? = nil,
        membership: Membership = Membership(), membershipIndex: LogIndex = .zero,
        settings: ClusterSettings = ClusterSettings(foreignKeys: false)
    ) {
        self.position = position
        self.cluster = cluster
        self.membership = membership
        self.membershipIndex = membershipIndex
        self.settings = settings
        lastMilliseconds = 0
    }

    package var mark: SnapshotMark {
        SnapshotMark(
            position: position, membership: membership, membershipIndex: membershipIndex)
    }
}

/// Where to go on within an entry of which some autocommit units are committed already, with all
/// that the following units can see of those before them.
struct EntryProgress: Equatable, Sendable {
    /// The next statement of the command, and the place and parameter at which it goes on.
    var statement = 0
    var offset = 0
    var positionalUsed = 0
    /// Of the budget, in callbacks of SQLite's progress handler.
    var steps = 0
    /// And in steps, less than a callback's.
    var stepsBeside = 0
    var lastInsertRowid: Int64 = 0
    var changes: Int64 = 0
    var totalChanges: Int64 = 0
    /// What PRAGMA foreign_keys said last in this command.
    var foreignKeys: Bool?
    /// What other PRAGMAs of this command switched on.
    var flags: RequestFlags = []

    /// No command takes so many steps, or changes so many rows.
    private static let most: Int64 = 1 << 48

    /// Whether a command may have come so far.
    var isPossible: Bool {
        [Int64(steps), changes, totalChanges].allSatisfy { (0...Self.most).contains($0) }
    }

    /// Whether it is a place in the command. Its text is gone on with in memory from there, unlooked at.
    func isPlace(in command: Command) -> Bool {
        guard statement < command.statements.count else {
            return statement == command.statements.count
        }
        return offset <= command.statements[statement].sql.utf8.count
    }
}
