package import Raft
package import Rights
package import Wire

/// How fresh a read must be; see docs/compatibility.md for what each promises.
package enum ConsistencyLevel: UInt8, Sendable {
    case none = 0
    case weak = 1
    case linearizable = 2
    case strong = 3
    case auto = 4
}

/// Bounds on the age of what a read at level `none` may see.
package struct Freshness: Equatable, Sendable {
    /// Longest time since the leader was heard. Nil: not checked.
    package var limit: Duration?
    /// Also compare the age of the data.
    package var strict: Bool

    package init(limit: Duration? = nil, strict: Bool = false) {
        self.limit = limit
        self.strict = strict
    }
}

/// What a client asks of a read.
package struct ReadOptions: Equatable, Sendable {
    /// How sure it wants to be of seeing the latest writes.
    package var level: ConsistencyLevel
    /// For level `none`: how recently the leader must have been heard.
    package var freshness: Freshness
    /// Longest wait of a linearizable read for the local state machine.
    package var linearizableTimeout: Duration
    /// Limit for SQLite's work on a read; nil means none.
    package var databaseTimeout: Duration?
    /// What it must have seen: the node waits for it within the request's time.
    package var demand: CommitDemand?
    /// Where the database has not changed since this, nothing is read, and `unchanged` is the answer.
    package var unless: CommitMark?

    package init(
        level: ConsistencyLevel = .weak, freshness: Freshness = Freshness(),
        linearizableTimeout: Duration = .seconds(10), databaseTimeout: Duration? = nil
    ) {
        self.level = level
        self.freshness = freshness
        self.linearizableTimeout = linearizableTimeout
        self.databaseTimeout = databaseTimeout
    }
}

/// Pairs a request with its reply; unique per `ReplySink`.
package struct RequestID: Hashable, Sendable {
    /// Unique among the requests of one sender.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// Something a client asks of a node, over HTTP or through another node that forwards it.
package struct ClientRequest: Sendable {
    /// What is asked for.
    package enum Operation: Sendable {
        /// `/db/execute`, `/db/query`, `/db/request`: by the command's kind. The read options
        /// matter for queries and for requests that only read.
        case command(Command, ReadOptions)
        /// A copy of the database, in parts. Who may make it follows from the read options.
        case backup(BackupRequest, ReadOptions)
        /// The database is replaced, on all nodes.
        case load(DatabaseImage)
        /// A part of a database that is too large for one request is kept.
        /// - isBoot: by the leader alone, as `boot`.
        case loadPart(LoadPart, isBoot: Bool)
        /// What was kept takes the place of the database, or is not wanted any more.
        case loadEnd(LoadEnd, isBoot: Bool)
        /// A dump is run: the same as a command that executes, to who may load.
        case loadDump(Command)
        /// As `load`, but asked of the leader itself: no other node sends it on.
        case boot(DatabaseImage)
        case remove(NodeID)
        /// Hand leadership over; with `wait` the reply comes when it has moved.
        case transferLeadership(to: NodeID?, wait: Bool)
        /// Describes all members, each asked over the network.
        case nodes(includeNonvoters: Bool)
        /// Describes the leader, asked over the network.
        case leader
        case readiness(ReadinessCheck)
        /// The limits on writes, as the leader has them; with a change, as they are after it.
        case limits(WriteLimitsChange?)
        /// What becomes of an entry that ended the process.
        case applyDecision(ApplyDecision)
        /// The node's database is replaced by the leader's, whatever is known of it.
        case reseed
        /// These addresses are gone for good: a node that waits for a cluster counts without them.
        case drop([PeerAddress])
        /// The node's database is checkpointed, and its log is shortened behind that: to the last
        /// `keeping` entries, or to as many as the node keeps by itself. The node that is asked does
        /// it; it is not sent on to another.
        case checkpoint(keeping: UInt64?)
    }

    /// What stands for an operation when a request travels to another node. Never renumber: nodes
    /// of different versions talk to each other.
    package enum Code: UInt8, CaseIterable, Sendable {
        case command = 1
        case remove = 2
        case transferLeadership = 3
        case nodes = 4
        case leader = 5
        case readiness = 6
        case backup = 7
        case load = 8
        case boot = 9
        case limits = 16
        case applyDecision = 17
        case reseed = 18
        case drop = 19
        case checkpoint = 20
    }

    /// What `/readyz` is asked to look at.
    package struct ReadinessCheck: Equatable, Sendable {
        /// Only that the node answers.
        package var nodeOnly: Bool
        /// Also that it has applied what the leader has committed.
        package var sync: Bool

        package init(nodeOnly: Bool, sync: Bool) {
            self.nodeOnly = nodeOnly
            self.sync = sync
        }
    }

    /// Given by the sender; comes back with the answer.
    package var id: RequestID
    /// What is asked for.
    package var operation: Operation
    /// A follower sends it on to the leader; otherwise it answers `notLeader`.
    package var forward: Bool
    /// The reply comes within this time, be it `timedOut`.
    package var timeout: Duration
    /// The client's own, for nodes that it is sent on to.
    package var credential: Credential

    package init(
        id: RequestID, operation: Operation, forward: Bool = true,
        timeout: Duration = .seconds(30), credential: Credential = .none
    ) {
        self.id = id
        self.operation = operation
        self.forward = forward
        self.timeout = timeout
        self.credential = credential
    }
}

extension ClientRequest.Operation {
    /// Of what may be a read; nil for everything else.
    package var readOptions: ReadOptions? {
        switch self {
        case .command(_, let options), .backup(_, let options): options
        default: nil
        }
    }

    /// As what the operation travels between nodes.
    package var code: ClientRequest.Code {
        switch self {
        case .command: .command
        case .backup: .backup
        case .load, .loadDump, .loadPart, .loadEnd: .load
        case .boot: .boot
        case .remove: .remove
        case .transferLeadership: .transferLeadership
        case .nodes: .nodes
        case .leader: .leader
        case .readiness: .readiness
        case .limits: .limits
        case .applyDecision: .applyDecision
        case .reseed: .reseed
        case .drop: .drop
        case .checkpoint: .checkpoint
        }
    }
}

/// What an operator decides about the entry that a node does not apply because it ended its process.
package enum ApplyDecision: Equatable, Sendable {
    /// The node that is asked applies it once more; it is not sent on to another.
    case tryAgain
    /// All nodes leave it out.
    /// - Parameter isChecked: a node that doesn't apply the entry has compared it and named the place
    ///   in it; never what a client says.
    case skip(EntrySkip, isChecked: Bool)
}
