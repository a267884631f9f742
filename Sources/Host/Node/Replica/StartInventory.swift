import Raft
import StateMachine

/// What a start knows of a data directory. It is filled step by step: names first, which are looked
/// at without changing anything, then what the opened log says, then what the opened database says.
/// `StartPlan.step` makes of it what is to be done next, or the reason why nothing must be.
struct StartInventory: Equatable, Sendable {
    /// What an opened log says of the life it belongs to.
    struct Log: Equatable, Sendable {
        /// The log was given to a node. Without it the log was only just made.
        var hasIdentity = false
        /// The database file that the log names; nil before there is one.
        var generation: Generation?
        var cluster: ClusterID?
        /// Bootstraps that were dropped before anything was written.
        var abandoned: [ClusterID] = []
        /// `base <= last`
        var base = LogIndex.zero
        var last = LogIndex.zero
        /// What could be read does not tell what was promised: the end was cut off.
        var isDamaged = false
    }

    /// What an opened database says of itself.
    struct Database: Equatable, Sendable {
        var cluster: ClusterID?
        /// The last entry that is applied in it.
        var applied = LogIndex.zero
    }

    /// For the texts.
    var directory: String
    /// How many segments of a log there are.
    var segments = 0
    /// The database files, ascending.
    var generations: [Generation] = []
    /// Names of database files in the making, and of parts of those that are gone.
    var incoming: [String] = []
    /// Nil until the log is opened.
    var log: Log?
    /// Nil until the database is opened.
    var database: Database?
    /// By its flags the node would found a cluster, as a read replica that can't lead one.
    var wouldFoundWithoutVote = false

    /// Names of the files that hold, or may hold, rows.
    var databaseFiles: [String] { generations.map { "db-\($0).sqlite" } + incoming }
}
