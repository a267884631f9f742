package import Raft
package import Replication

/// What an operator decides about a node, with the defaults for everything else.
package struct MachineSettings: Sendable {
    /// What `-node-id` says; nil: the stored ID counts, or `fallbackID` on the first start.
    package var explicitID: NodeID?
    /// The ID of a node to which the operator gave none: its advertised Raft address.
    package var fallbackID: NodeID
    /// The advertised Raft address.
    package var address: PeerAddress
    /// Full URL of the advertised HTTP API.
    package var apiURL: String
    /// Its path, for what the node says to people.
    package var dataDirectory: String
    /// The program's version, for other nodes and people.
    package var version: String
    /// Of consensus; its times are counted in ticks.
    package var raft: RaftSettings = RaftSettings()
    /// Sizes of batches and of what may be underway between log and database.
    package var replication: ReplicationSettings = ReplicationSettings()
    /// How long one tick of the core is.
    package var tick: Duration = .milliseconds(10)
    /// A new cluster enforces foreign keys.
    package var foreignKeys: Bool = false
    /// Bytes in SQLite's WAL past which it is checkpointed.
    package var checkpointBytes: Int = 4 << 20
    /// Threads that read the database, at most.
    package var maxReaders: Int = 256
    /// The same beside these: for answers that go out in parts, and reads that were given up.
    package var spareReaders: Int = 96
    /// Connections of clients and other nodes together; more are closed as they come.
    package var maxConnections: Int = 4096
    /// Snapshots that this node sends go packed to who takes them so.
    package var packsSnapshots = false
    /// Longest wait for a connection to another node.
    package var connectTimeout: Duration = .seconds(30)
    /// Longest wait of a write for a leader that takes it into its log.
    package var applyTimeout: Duration = .seconds(10)
    /// Checkpoints are no closer together than this, unless SQLite's log has outgrown its bound.
    package var checkpointInterval: Duration = .seconds(10)
    /// Hand leadership over before stopping.
    package var stepDownOnShutdown: Bool = true
    /// What the operator wrote into `raft/peers.json`, if the file is there.
    package var peers: PeersRecovery?
    /// How long a silent member is kept.
    package var reapTimeouts: ReapTimeouts = ReapTimeouts()
    /// False for a read replica, which can follow a cluster but not found one.
    package var isVoter: Bool = true
    /// A node that was removed from its cluster takes no further part, whatever it hears.
    package var stopsWhenRemoved: Bool = false
    /// How a node without a cluster comes to one.
    package var plan: FormationPlan = .alone
    /// Found a cluster in the place of one whose nodes all answer without data.
    package var foundsAnew: Bool = false
    /// With which `rqlited disco` finds this node's registry, for commands that an operator is told.
    package var discoveryFlags: String = ""
    /// What `curl` needs beside the URL to reach this node's API, with a space behind it, for commands
    /// that an operator is told.
    package var clientFlags: String = ""
    /// By when a snapshot must have been sent and installed, beside `snapshotTime(for:)`: the database is
    /// held for it so long, and what is written meanwhile can't be checkpointed. Longer than the connection
    /// bears, so that one that is slow ends there, with the reason.
    package var snapshotSendTime: Duration = .seconds(780)
    /// Bytes in SQLite's WAL past which a snapshot that is being sent is given up, unless an eighth of the database is
    /// more.
    package var snapshotHoldBytes: Int = 4 << 30
    /// A node that applies nothing for so long, although something is committed, is not ready.
    package var standstillTime: Duration = .seconds(5)
    /// Bounds on requests that wait.
    package var router: RouterLimits = RouterLimits()
    /// Off unless an operator's flags are asked: without a database there are no readings.
    package var checksums = ChecksumSettings.off
    /// Paths of folders, archives and shared objects with SQLite extensions.
    package var extensionPaths: [String] = []

    package init(
        explicitID: NodeID?, fallbackID: NodeID, address: PeerAddress, apiURL: String,
        dataDirectory: String, version: String
    ) {
        self.explicitID = explicitID
        self.fallbackID = fallbackID
        self.address = address
        self.apiURL = apiURL
        self.dataDirectory = dataDirectory
        self.version = version
    }

    /// What a snapshot may take for its size, beside `snapshotSendTime`: a second for each MiB, up to six hours, to
    /// be sent, and as much to be installed (docs/protocol.md).
    package static func snapshotTime(for byteCount: UInt64) -> Duration {
        .seconds(2 * min(byteCount >> 20, 6 * 3600))
    }
}

/// A running node's settings together with what its data directory says it is.
@dynamicMemberLookup
package struct NodeOptions: Sendable {
    /// The node's ID and the incarnation of its data directory.
    package let identity: NodeIdentity
    /// Source identity of the SQLite library: a difference between nodes may show in floats and
    /// plans.
    package let engine: String
    package let settings: MachineSettings
    /// What two nodes have loaded into their libraries beside it, in words for people, where they don't
    /// have the same; this node's own first.
    package let otherExtensions: @Sendable (String, String) -> (own: String, other: String)?
    /// In which ways two libraries differ, in words for people, by what nodes tell of them; this
    /// node's own first.
    package let engineDifferences: @Sendable (String, String) -> [String]
    /// The newest format of data that this program reads and writes.
    package let dataVersion: UInt8 = 1

    /// - Parameters:
    ///   - engine: source identity of the SQLite library.
    ///   - engineDifferences: in which ways two such libraries differ.
    ///   - otherExtensions: what each has loaded, where that is not the same.
    package init(
        identity: NodeIdentity, engine: String, settings: MachineSettings,
        engineDifferences: @escaping @Sendable (String, String) -> [String] = { own, other in
            ["SQLite is \(other) there, \(own) here"]
        },
        otherExtensions:
            @escaping @Sendable (String, String) -> (own: String, other: String)? = { _, _ in nil }
    ) {
        self.otherExtensions = otherExtensions
        self.engineDifferences = engineDifferences
        self.identity = identity
        self.engine = engine
        self.settings = settings
        quorumTime = settings.tick * settings.raft.quorumTicks
    }

    /// The time within which a leader that lost its quorum has noticed.
    package let quorumTime: Duration

    /// How long a cluster is without a leader at most, as a rule: a follower misses it, and perhaps
    /// two campaigns meet.
    var electionPatience: Duration { settings.tick * (3 * settings.raft.electionTicks) }

    /// A command for a shell that asks a node's API for something.
    /// - Parameters:
    ///   - document: what is posted, without an apostrophe in it; nil: nothing.
    ///   - url: of the API; nil: of this node's.
    func command(posting path: String, document: String? = nil, at url: String? = nil) -> String {
        let content = document.map { " -d '\($0)'" } ?? ""
        return "curl -sS --fail-with-body \(settings.clientFlags)-X POST "
            + "'\(url ?? settings.apiURL)\(path)'\(content)"
    }

    package subscript<Value>(dynamicMember path: KeyPath<MachineSettings, Value>) -> Value {
        settings[keyPath: path]
    }
}

/// How a node without cluster state comes to one.
package enum FormationPlan: Equatable, Sendable {
    /// A cluster of its own.
    case alone
    /// Join a cluster through any of the candidates; give up after so many rounds.
    case join(attempts: Int, interval: Duration, suffrage: Suffrage)
    /// Join, or agree on one bootstrap with `expect` voters among the candidates.
    case bootstrap(expect: Int, timeout: Duration, suffrage: Suffrage)
    /// Join the cluster that a registry shows, or found it there: with `expect` voters, or alone.
    /// Without a timeout the node waits for ever.
    case registry(expect: Int?, timeout: Duration?, suffrage: Suffrage)

    /// What the node wants to be in its cluster.
    package var suffrage: Suffrage {
        switch self {
        case .alone: .voter
        case .join(_, _, let suffrage), .bootstrap(_, _, let suffrage),
            .registry(_, _, let suffrage):
            suffrage
        }
    }

    /// `-bootstrap-expect`; nil where the plan has none.
    package var expect: Int? {
        switch self {
        case .bootstrap(let expect, _, _): expect
        case .registry(let expect, _, _): expect
        case .alone, .join: nil
        }
    }
}
