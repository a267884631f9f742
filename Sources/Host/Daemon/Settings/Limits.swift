/// Bounds on what an operator may ask for, and the relations that must hold between them. The
/// limits of frames, queues and batches stand with the modules that keep them.
package enum Limits {
    /// rqlite's.
    package static let defaultHTTPPort: UInt16 = 4001
    /// rqlite's.
    package static let defaultRaftPort: UInt16 = 4002

    /// A node's ID is sent with every message and becomes part of a registry's key.
    package static let maxNodeIDBytes = 255
    /// A host's name that is told to others: DNS has names of 253 bytes.
    package static let maxHostBytes = 255
    /// Addresses in `-join`.
    package static let maxJoinEntries = 256
    /// Voters that found a cluster together.
    package static let maxBootstrapExpect = 64
    /// As the plugin ABI has it.
    package static let maxDiscoveryConfigBytes = 1 << 20
    /// Resolvers in `-disco-mode`.
    package static let maxDiscoveryModes = 8
    /// Folders in `-disco-plugin-path`.
    package static let maxPluginDirectories = 64
    /// Connections of SQLite that only read, each with a thread.
    package static let maxReadConnections = 4096

    /// Files of the log and the database, sockets to other nodes, event loops, plugins.
    package static let ownDescriptors = 192
    /// Read-only connections of SQLite beside those that serve requests: answers that go out in parts, and
    /// reads that were given up and still run.
    package static let spareReaders = 96
    /// However few descriptors there are.
    package static let leastReaders = 2
    /// The same of those beside them.
    package static let leastSpareReaders = 8
    /// Readers that serve requests, from which on more descriptors are for those beside them.
    package static let usualReaders = 64
    /// With fewer a node is not worth starting.
    package static let minDescriptors = 64
    /// What the limit of descriptors is raised to at most.
    package static let maxDescriptors = 1 << 20

    /// As rqlite's library has it.
    package static let minElectionTimeout = Duration.milliseconds(5)
    /// As rqlite's library has it.
    package static let minCommitTimeout = Duration.milliseconds(1)
    /// A leader shows itself at least so often, whatever `-raft-commit-timeout` says.
    package static let maxHeartbeatInterval = Duration.milliseconds(100)
    /// Of a lease that was not given.
    package static let maxDefaultLeaderLease = Duration.milliseconds(500)
    /// Heartbeats that fit into one election timeout at least, so that a lost one is harmless.
    package static let minHeartbeatsPerElection = 5

    /// What `-raft-snap` of 0 stands for.
    package static let defaultCheckpointEntries = 8192
    /// As rqlite's library has it.
    package static let minCheckpointInterval = Duration.milliseconds(5)
    /// Each comparison is an entry of the log.
    package static let minChecksumInterval = Duration.milliseconds(100)
    package static let minScrubInterval = Duration.seconds(1)
    /// Writes wait for VACUUM and ANALYZE.
    package static let minUpkeepInterval = Duration.seconds(1)
    /// What `-raft-snap-int` of 0 stands for.
    package static let defaultCheckpointInterval = Duration.seconds(120)

    /// Called once at start, before anything is touched.
    package static func checkRelations() {
        precondition(
            maxBootstrapExpect <= maxJoinEntries,
            "\(maxBootstrapExpect) nodes can't be listed in \(maxJoinEntries) entries")
        precondition(
            minElectionTimeout / minHeartbeatsPerElection >= .milliseconds(1),
            "a heartbeat interval below a millisecond can't be kept")
        precondition(
            minCommitTimeout * minHeartbeatsPerElection <= minElectionTimeout,
            "the shortest commit timeout must fit the shortest election timeout")
        precondition(
            minDescriptors <= maxDescriptors && ownDescriptors < maxDescriptors,
            "\(ownDescriptors) descriptors of our own must fit into \(maxDescriptors)")
        precondition(defaultHTTPPort != defaultRaftPort)
    }
}
