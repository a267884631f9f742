/// Everything the command line decides about a node: validated, typed, immutable.
package struct NodeSettings: Equatable, Sendable {
    /// Absolute; not yet created.
    package let dataDirectory: String
    package let identity: Identity
    package let http: HTTP
    package let raft: Raft
    package let formation: Formation
    package let checkpoint: Checkpoint
    package let database: Database

    package struct Identity: Equatable, Sendable {
        /// What `-node-id` says; nil when not given: then the stored ID counts, and on the first
        /// start `fallback`.
        package let explicit: String?
        /// The advertised Raft address.
        package let fallback: String
    }

    package struct HTTP: Equatable, Sendable {
        package let bind: HostPort
        package let advertised: HostPort
        package let allowOrigin: String?
    }

    package struct Raft: Equatable, Sendable {
        package let bind: HostPort
        package let advertised: HostPort
        package let isVoter: Bool
        package let timing: Timing
        package let applyTimeout: Duration
        package let connectTimeout: Duration
        package let logLevel: LogLevel
        package let stepsDownOnShutdown: Bool
        /// A removed node takes no further part in Raft.
        package let stopsWhenRemoved: Bool
        /// A graceful stop removes the node from its cluster first.
        package let leavesOnShutdown: Bool
        /// Nil: silent voters are never removed.
        package let reapTimeout: Duration?
        /// The same for read replicas.
        package let reapReadOnlyTimeout: Duration?
    }

    /// `heartbeatInterval` < `leaderLease` <= `heartbeatTimeout` <= `electionTimeout`.
    package struct Timing: Equatable, Sendable {
        /// A follower campaigns after a random time in [this, 1.5 × this] without a leader.
        package let heartbeatTimeout: Duration
        /// A candidate starts again after so long.
        package let electionTimeout: Duration
        /// A leader that reached no quorum for so long steps down.
        package let leaderLease: Duration
        package let heartbeatInterval: Duration
    }

    package enum LogLevel: String, Equatable, Sendable, CaseIterable {
        case off = "OFF"
        case error = "ERROR"
        case warning = "WARN"
        case info = "INFO"
        case debug = "DEBUG"
        case trace = "TRACE"
    }

    package struct Formation: Equatable, Sendable {
        package let join: [JoinEntry]
        package let joinAttempts: Int
        package let joinInterval: Duration
        /// 0: not given.
        package let bootstrapExpect: Int
        package let bootstrapExpectTimeout: Duration
        package let discovery: Discovery?
    }

    package struct Discovery: Equatable, Sendable {
        package let mode: String
        package let key: String
        package let config: DiscoveryConfig
        package let pluginDirectories: [String]
        package let isolation: Isolation
    }

    /// Where a plugin's code runs.
    package enum Isolation: String, Equatable, Sendable, CaseIterable {
        /// In the daemon.
        case none
        /// In a process of its own.
        case process
    }

    package struct Checkpoint: Equatable, Sendable {
        package let entries: Int
        /// Log entries kept behind a checkpoint for followers that lag a little.
        package let trailingEntries: Int
        /// 0: the size of SQLite's WAL triggers nothing.
        package let walBytes: Int
        package let interval: Duration
    }

    package struct Database: Equatable, Sendable {
        /// Takes effect when a cluster is formed; afterwards the cluster's own setting counts.
        package let enforcesForeignKeys: Bool
        package let maxReadConnections: Int
    }
}
