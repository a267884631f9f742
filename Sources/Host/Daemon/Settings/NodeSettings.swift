package import Addresses

/// Everything the command line decides about a node: validated, typed, immutable.
package struct NodeSettings: Equatable, Sendable {
    /// Absolute; not yet created.
    package let dataDirectory: String
    /// Who the node is.
    package let identity: Identity
    /// Where clients reach it.
    package let http: HTTP
    /// Where other nodes reach it, and how it behaves among them.
    package let raft: Raft
    /// Who may do what.
    package let access: Access
    /// HTTPS; nil: the API speaks in the clear.
    package let https: HTTPS?
    /// Between nodes; nil: they speak in the clear.
    package let nodeEncryption: NodeEncryption?
    /// How it comes to a cluster while it has none.
    package let formation: Formation
    /// When SQLite's log is copied into the database file.
    package let checkpoint: Checkpoint
    /// How nodes see that their databases differ.
    package let checksums: Checksums
    /// How the database is opened.
    package let database: Database
    /// Of queued writes.
    package let queue: Queue
    /// Copies elsewhere.
    package let safekeeping: Safekeeping
    /// What the leader has all nodes do from time to time.
    package let upkeep: Upkeep

    /// Of the HTTP API, as others are told.
    package var apiURL: String { (https == nil ? "http://" : "https://") + "\(http.advertised)" }

    /// Which node this is.
    package struct Identity: Equatable, Sendable {
        /// What `-node-id` says; nil when not given: then the stored ID counts, and on the first
        /// start `fallback`.
        package let explicit: String?
        /// The advertised Raft address.
        package let fallback: String
    }

    /// Copies of the database elsewhere: paths of configuration files; nil: there are none.
    package struct Safekeeping: Equatable, Sendable {
        /// What the leader uploads.
        package let backup: String?
        /// What a node without data begins with.
        package let restore: String?
    }

    /// Times between two runs; nil: never.
    package struct Upkeep: Equatable, Sendable {
        /// Of VACUUM.
        package let vacuum: Duration?
        /// Of PRAGMA optimize.
        package let optimize: Duration?
    }

    /// Queued writes.
    package struct Queue: Equatable, Sendable {
        /// Writes that may wait for their batch.
        package let capacity: Int
        /// Writes of a batch.
        package let batchSize: Int
        /// After which a batch goes out that is not full; zero: never.
        package let timeout: Duration
        /// Each batch is a transaction.
        package let isTransaction: Bool
    }

    /// The HTTP API.
    package struct HTTP: Equatable, Sendable {
        /// Where it listens, unless there is a socket.
        package let bind: HostPort
        /// The Unix socket on which it listens instead.
        package let socket: SocketPath?
        /// What clients and other nodes are told.
        package let advertised: HostPort
        /// The header Access-Control-Allow-Origin; nil: none is sent.
        package let allowOrigin: String?

        /// Where it listens, as the operator writes it.
        package var listensAt: String { socket?.description ?? bind.description }
    }

    /// Who may do what.
    package struct Access: Equatable, Sendable {
        /// The credentials file; nil: everybody may do everything.
        package let file: String?
        /// The user of that file as whom the node joins a cluster; nil: nobody.
        package let joinAs: String?
        /// What needs no permission: `ready`, `metrics`.
        package let open: [String]
    }

    /// What clients see of TLS. Paths of PEM files.
    package struct HTTPS: Equatable, Sendable {
        package let certificate: String
        package let key: String
        /// Nil: the system's authorities.
        package let authority: String?
        /// Clients must show a certificate.
        package let verifiesClients: Bool
        /// With this Common Name in its subject; nil: any or none.
        package let commonName: String?
    }

    /// What nodes ask of each other.
    package struct NodeEncryption: Equatable, Sendable {
        /// By what nodes know each other.
        package enum Means: Equatable, Sendable {
            case certificates(NodeCertificates)
            /// The path of the file.
            case secret(file: String)
        }

        /// What is done with nodes that don't encrypt.
        package enum Demand: String, Equatable, Sendable, CaseIterable {
            case require
            case prefer
        }

        package let means: Means
        package let demand: Demand
    }

    /// Paths of PEM files, and what is checked.
    package struct NodeCertificates: Equatable, Sendable {
        package let certificate: String
        package let key: String
        /// Nil: the system's authorities.
        package let authority: String?
        /// Who connects must show a certificate.
        package let verifiesClients: Bool
        /// With this Common Name in its subject; nil: any or none.
        package let commonName: String?
        /// Certificates must name the node that they are for.
        package let verifiesNodes: Bool
        /// Who is dialed must show one that is right.
        package let verifiesServers: Bool
        /// In the certificate of who is dialed; nil: what was dialed.
        package let serverName: String?
    }

    /// A node among nodes.
    package struct Raft: Equatable, Sendable {
        /// Where it listens for other nodes.
        package let bind: HostPort
        /// What other nodes are told.
        package let advertised: HostPort
        /// False for a read replica.
        package let isVoter: Bool
        /// Elections and heartbeats.
        package let timing: Timing
        /// Longest wait of a write for a leader that takes it into its log.
        package let applyTimeout: Duration
        /// Longest wait for a connection to another node.
        package let connectTimeout: Duration
        /// From which level on lines are logged.
        package let logLevel: LogLevel
        /// A leader hands leadership over before it stops.
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
        /// Between a leader's signs of life.
        package let heartbeatInterval: Duration
    }

    /// rqlite's names; the raw value is what is typed.
    package enum LogLevel: String, Equatable, Sendable, CaseIterable {
        case off = "OFF"
        case error = "ERROR"
        case warning = "WARN"
        case info = "INFO"
        case debug = "DEBUG"
        case trace = "TRACE"
    }

    /// How a node without a cluster finds one, or founds it.
    package struct Formation: Equatable, Sendable {
        /// Nodes to join through, in the order given; empty: none.
        package let join: [JoinEntry]
        /// `-bootstrap-anew`: a cluster whose nodes all answer without data may get a successor.
        package let foundsAnew: Bool
        /// Rounds over the list; at least 1.
        package let joinAttempts: Int
        /// Pause between rounds.
        package let joinInterval: Duration
        /// 0: not given.
        package let bootstrapExpect: Int
        /// A node that waits for others gives up after so long.
        package let bootstrapExpectTimeout: Duration
        /// Nil without `-disco-mode`.
        package let discovery: Discovery?
    }

    /// The plugin that finds other nodes.
    package struct Discovery: Equatable, Sendable {
        /// A name that a plugin offers, or the path of one; or several, separated by commas.
        package let mode: String
        /// Separates clusters in one registry; not empty.
        package let key: String
        /// What the plugin is given, unread.
        package let config: DiscoveryConfig
        /// Searched before the standard ones, in this order.
        package let pluginDirectories: [String]
        /// Where the plugin runs.
        package let isolation: Isolation
        /// Of the environment, for a plugin in a process of its own beside what it is given anyway: names,
        /// and beginnings of names, which end with `*`.
        package let variables: [String]
    }

    /// Where a plugin's code runs.
    package enum Isolation: String, Equatable, Sendable, CaseIterable {
        /// In the daemon what was installed with it, other plugins in a process of their own.
        case auto
        /// In the daemon.
        case none
        /// In a process of its own.
        case process
    }

    /// What triggers a checkpoint, and how often.
    package struct Checkpoint: Equatable, Sendable {
        /// Log entries that trigger one.
        package let entries: Int
        /// Log entries kept behind a checkpoint for followers that lag a little.
        package let trailingEntries: Int
        /// 0: the size of SQLite's WAL triggers nothing.
        package let walBytes: Int
        /// Shortest time between checkpoints that entries trigger.
        package let interval: Duration
        /// What of the database goes to other nodes is packed.
        package let packsSnapshots: Bool
    }

    /// How nodes see that their databases differ.
    package struct Checksums: Equatable, Sendable {
        /// Comparisons are made while this node leads.
        package let isOn: Bool
        /// Shortest time between two.
        package let interval: Duration
        /// Between the beginnings of two passes over the content; nil: there are none.
        package let scrubInterval: Duration?
        /// The node has its database replaced by itself.
        package let reseedsItself: Bool
    }

    /// What concerns SQLite alone.
    package struct Database: Equatable, Sendable {
        /// Takes effect when a cluster is formed; afterwards the cluster's own setting counts.
        package let enforcesForeignKeys: Bool
        /// At least 1.
        package let maxReadConnections: Int
        /// Folders, archives and files with SQLite extensions, as absolute paths.
        package let extensionPaths: [String]
    }
}
