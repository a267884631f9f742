package import Raft

/// What a start knows of a data directory. It is filled step by step: names first, which are looked
/// at without changing anything, then what the opened log says, then what the opened database says.
/// `StartPlan.step` makes of it what is to be done next, or the reason why nothing must be.
package struct StartInventory: Equatable, Sendable {
    /// What an opened log says of the life it belongs to.
    package struct Log: Equatable, Sendable {
        /// The log was given to a node. Without it the log was only just made.
        package var hasIdentity = false
        /// The database file that the log names; nil before there is one.
        package var generation: Generation?
        package var cluster: ClusterID?
        /// Bootstraps that were dropped before anything was written.
        package var abandoned: [ClusterID] = []
        /// `base <= last`
        package var base = LogIndex.zero
        package var last = LogIndex.zero
        /// What could be read does not tell what was promised: the end was cut off.
        package var isDamaged = false
        /// How many members the cluster has, by the latest membership.
        package var members = 0
    }

    /// What an opened database says of itself.
    package struct Database: Equatable, Sendable {
        package var cluster: ClusterID?
        /// The last entry that is applied in it.
        package var applied = LogIndex.zero
    }

    /// For the texts.
    package var directory: String
    /// How many segments of a log there are.
    package var segments = 0
    /// The database files, ascending.
    package var generations: [Generation] = []
    /// Names of database files in the making, and of parts of those that are gone.
    package var incoming: [String] = []
    /// Nil until the log is opened.
    package var log: Log?
    /// Nil until the database is opened.
    package var database: Database?
    /// What SQLite finds wrong with the database that the log names; nil: nothing, as far as it was
    /// opened.
    package var damage: String?
    /// By its flags the node would found a cluster, as a read replica that can't lead one.
    package var wouldFoundWithoutVote = false

    /// - Parameters:
    ///   - directory: for the texts.
    ///   - segments: how many files of a log there are.
    ///   - generations: the database files, ascending.
    package init(
        directory: String, segments: Int = 0, generations: [Generation] = [],
        incoming: [String] = [], wouldFoundWithoutVote: Bool = false
    ) {
        self.directory = directory
        self.segments = segments
        self.generations = generations
        self.incoming = incoming
        self.wouldFoundWithoutVote = wouldFoundWithoutVote
    }

    /// Names of the files that hold, or may hold, rows.
    package var databaseFiles: [String] { generations.map { "db-\($0).sqlite" } + incoming }
}
