package import Cluster
package import Raft

/// How a node without cluster state becomes a member of the one cluster, by way of a registry.
///
/// It looks at the record `leader` and at the records of nodes, again and again:
///
/// - `leader` is *formed*: the node joins through it, or through any node whose record is of that
///   cluster; or it starts Raft at once, if the entry names it as a founder with its incarnation.
/// - Nothing is there, seen twice, and no record of a node is of any cluster: a voter *claims*.
///   (a, c) The whole bootstrap (`RegistryState.Claim`) becomes durable on its own disk. (b) It
///   writes the entry as *forming*, if there is still none. (d) It writes it as *formed*, if the
///   entry is still the one it wrote; only then does it start Raft. With `-bootstrap-expect` it
///   claims only when N voters that have records have answered a hello with the incarnation in
///   their record, and the entry names N of them.
/// - `leader` is *forming*: the node waits. When the entry's revision has not changed for 15 s on
///   the node's own clock, it may claim in its place, at that revision; the other's (d) then finds
///   a conflict. So whoever stops or stalls between (b) and (d) holds nobody up and splits nothing.
///
/// Whatever comes of a write that is not certain, the node looks again: its own claim *formed* is
/// success, its own claim *forming* is (d) again, and it drops the claim only after a look that
/// shows another's entry or none.
///
/// The machine is a value. Its shell calls `tick` with the time since the start, at `nextDeadline`
/// and right before every other input, and then performs `takeEffects()`. After the last effect
/// (see `RegistryFormationEffect`) the shell drops it. It runs on a node without cluster state, and
/// again after a restart until there is cluster state; `RegistryKeeper`, which runs beside it,
/// keeps the node's own record.
package struct RegistryFormation: Sendable {
    package let settings: RegistryFormationSettings
    package internal(set) var state: RegistryState
    package internal(set) var isFinished = false
    var now: Duration = .zero
    private var pending: [RegistryFormationEffect] = []

    /// - Parameters:
    ///   - state: as it was stored, or a fresh one in a new data directory.
    ///   - freshID: random bits, new in every run: cluster IDs and nonces are made from it.
    ///   - seed: decides pauses only.
    package init(
        _ settings: RegistryFormationSettings, state: RegistryState, freshID: RandomID,
        seed: UInt64
    ) {
        self.settings = settings
        self.state = state
    }

    // MARK: Inputs

    /// Time passes; `now` counts from the start of the formation.
    package mutating func tick(_ now: Duration) {}

    /// What came of the request that an effect asked for.
    package mutating func answered(_ answer: RegistryAnswer, to id: RegistryRequestID) {}

    /// A watch of the plugin fired: there may be something new to see.
    package mutating func registryChanged() {}

    /// The keeper found that the registry permits no records of nodes.
    package mutating func nodeRecordsOff(_ reason: String) {}

    package mutating func helloAnswered(_ facts: CandidateFacts, from address: PeerAddress) {}

    /// The node at the address can't be reached, or did not answer in time. `reason` is for people:
    /// `connection refused`.
    package mutating func unreachable(_ address: PeerAddress, reason: String) {}

    /// The cluster took this node in.
    package mutating func joined(_ cluster: ClusterID) {}

    /// The node asked did not take this one in; it may know who will.
    package mutating func joinRefused(
        via address: PeerAddress, reason: String, leader: PeerAddress?
    ) {}

    /// The write named by the ticket, and all before it, are durable.
    package mutating func persisted(_ ticket: PersistTicket) {}

    package mutating func takeEffects() -> [RegistryFormationEffect] {
        defer { pending = [] }
        return pending
    }

    // MARK: Queries

    /// When `tick` is due next, unless an input comes first; nil when nothing is left to do.
    package var nextDeadline: Duration? { nil }

    /// What it waits for now, for `/status`.
    package var waitingFor: String { "" }
}
