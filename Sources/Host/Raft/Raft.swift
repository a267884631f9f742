/// The consensus core as a value: it is stepped by inputs and accumulates effects. It knows no
/// clock, disk, network or randomness of its own.
package struct Raft: Sendable {
    package let identity: NodeIdentity
    package let cluster: ClusterID
    package let settings: RaftSettings
    private var pending = Effects()

    /// - Parameter seed: decides the election timeouts; nothing else is random.
    package init(
        identity: NodeIdentity, cluster: ClusterID, settings: RaftSettings,
        restored: RestoredState, seed: UInt64
    ) {
        self.identity = identity
        self.cluster = cluster
        self.settings = settings
    }

    // MARK: Inputs. After any number of them, `takeEffects()`.

    package mutating func tick() {}
    package mutating func receive(_ message: Message) {}
    /// Appends commands to the log if this node leads; they take contiguous indexes.
    /// - Returns: the index of the first and the term they were appended in.
    package mutating func propose(_ commands: [[UInt8]]) throws(Refusal) -> LogPosition {
        throw .notLeader(leader: nil)
    }
    /// Asks for an index at which a read is linearizable (ReadIndex, thesis §6.4).
    package mutating func requestRead(_ id: ReadID) throws(Refusal) {
        throw .notLeader(leader: nil)
    }
    package mutating func propose(_ change: MembershipChange) throws(Refusal) -> LogPosition {
        throw .notLeader(leader: nil)
    }
    /// Hands leadership to `target`, or to the most up-to-date voter (thesis §3.10).
    package mutating func transferLeadership(to target: NodeID?) throws(Refusal) {}
    /// Campaign now: the proposer of a fresh bootstrap, or the only voter.
    package mutating func campaign() {}
    /// The write named by the ticket, and all before it, are durable.
    package mutating func persisted(_ ticket: PersistTicket) {}
    /// The state machine has applied everything through `index`.
    package mutating func applied(through index: LogIndex) {}
    /// Answers a `LogFetch`; `entries` begins at its `from`, or is empty when the log no longer
    /// reaches back so far.
    package mutating func fetched(_ entries: [Entry], for fetch: Effects.LogFetch) {}
    /// A snapshot stream to a follower ended.
    package mutating func snapshotSent(to peer: NodeID, through index: LogIndex?) {}
    /// A received snapshot is durable and the state machine stands at it: the log begins after it.
    package mutating func snapshotInstalled(_ mark: SnapshotMark) {}
    /// The log on disk was compacted through `base`.
    package mutating func compacted(through base: LogPosition) {}
    /// A connection to the peer broke: fall back to probing it.
    package mutating func peerUnreachable(_ peer: NodeID) {}

    package mutating func takeEffects() -> Effects {
        defer { pending = Effects() }
        return pending
    }

    // MARK: Queries

    package var role: RoleName { .follower }
    package var term: Term { .zero }
    package var leader: NodeID? { nil }
    package var commitIndex: LogIndex { .zero }
    package var lastPosition: LogPosition { .zero }
    package var membership: Membership { Membership() }
    package var membershipIndex: LogIndex { .zero }
    /// This node leads and an entry of its own term is committed (thesis §6.4): it may serve reads.
    package var isReadyLeader: Bool { false }
    /// Ticks since the leader was last heard; nil when never in this run.
    package var ticksSinceLeader: Int? { nil }
    /// Per other member while leading: what it holds durably and when it last answered.
    package var progress: [PeerProgress] { [] }
}

/// What a leader knows of another member.
package struct PeerProgress: Equatable, Sendable {
    package enum State: String, Sendable { case probe, replicate, snapshot }
    package var id: NodeID
    package var state: State
    package var matchIndex: LogIndex
    package var ticksSinceAnswer: Int

    package init(id: NodeID, state: State, matchIndex: LogIndex, ticksSinceAnswer: Int) {
        self.id = id
        self.state = state
        self.matchIndex = matchIndex
        self.ticksSinceAnswer = ticksSinceAnswer
    }
}
