package import Cluster
package import Raft

/// What a node does in a registry for as long as it lives: it keeps its own record true, and, while
/// it leads, the record `leader`.
///
/// - Its own record, `nodes/<ID>`, is written at start and on change, looked at every 10 s and put
///   back when it is missing. Where the registry permits the record `leader` only, records of nodes
///   are off, with one warning.
/// - The leader writes the entry at once when it comes to lead, and looks at it every second. It
///   puts it back when it is missing, and takes the place of a *forming* entry. An entry *formed* by
///   another cluster it leaves alone, and raises an alarm until that is resolved. An entry of the
///   own cluster with a later term is another leader's, which this node will soon hear of.
/// - Every update compares and sets against the revision last read.
/// - A member that lost contact reads the records of its cluster's nodes, for their addresses.
///
/// At most one request is under way. A registry that is down, slow or answers nonsense costs a
/// request with a short deadline now and then, and nothing else.
///
/// The machine is a value. Its shell calls `tick` with the time since the start, at `nextDeadline`
/// and right before every other input, and then performs `takeEffects()`.
package struct RegistryKeeper: Sendable {
    /// What the node is in its cluster now.
    package enum Standing: Equatable, Sendable {
        /// In no cluster, or not known yet which.
        case fresh
        /// In the record's cluster. `isLost`: it has no contact to a leader, or has moved.
        case member(isLost: Bool)
        /// One of those that found the record's cluster, which has not had a leader yet: the entry
        /// is put back if it gets lost, or the other founders would not learn of it. It too is
        /// without contact.
        case founder(BootstrapValue)
        case leader(Term)
    }

    package private(set) var record: NodeRecord
    package private(set) var standing = Standing.fresh
    /// What an operator should look at now, for `/status` and metrics.
    package internal(set) var alarms: [RegistryAlarm] = []
    /// Why the registry can't be used now; nil while it works.
    package internal(set) var failure: String?
    private var pending: [RegistryKeeperEffect] = []

    /// - Parameters:
    ///   - record: as it shall stand in the registry.
    ///   - nonce: random bits, new in every run.
    ///   - seed: decides pauses only.
    package init(_ record: NodeRecord, nonce: RandomID, seed: UInt64) {
        self.record = record
    }

    // MARK: Inputs

    /// Time passes; `now` counts from the start of the keeper.
    package mutating func tick(_ now: Duration) {}

    /// What the node is now. The shell may say so as often as it likes; only a change counts.
    package mutating func update(_ record: NodeRecord, _ standing: Standing) {}

    /// What came of the request that an effect asked for.
    package mutating func answered(_ answer: RegistryAnswer, to id: RegistryRequestID) {}

    /// A watch of the plugin fired: there may be something new to see.
    package mutating func registryChanged() {}

    package mutating func takeEffects() -> [RegistryKeeperEffect] {
        defer { pending = [] }
        return pending
    }

    // MARK: Queries

    /// When `tick` is due next, unless an input comes first.
    package var nextDeadline: Duration { .zero }
}
