package import Cluster
package import Raft

/// What the shell of a formation through a registry must do, in order. It may do slow things beside
/// each other, except that writes reach the disk in the order of their tickets.
package enum RegistryFormationEffect: Equatable, Sendable {
    /// Call the plugin; report `answered`, in the end in any case.
    case ask(RegistryRequest, RegistryRequestID, timeout: Duration)
    /// Ask who is there; report `helloAnswered` or `unreachable`.
    case sendHello(PeerAddress)
    /// Ask the node at the address to make this node a member; report `joined`, `joinRefused` or
    /// `unreachable`.
    case attemptJoin(via: PeerAddress)
    /// Replace the stored `RegistryState` by these bytes, durably; report `persisted`.
    case persist([UInt8], PersistTicket)
    /// This node founds the cluster, or is named as one of its founders: write cluster ID and
    /// membership durably, start Raft, and campaign at once if asked to. Last effect.
    case start(BootstrapValue, campaign: Bool)
    /// The cluster took this node in. Last effect.
    case joined(ClusterID)
    /// What the formation is waiting for now. Said once per change.
    case waiting(String)
    /// What it has just done in the registry, for the log.
    case notice(String)
    /// Another node and this one contradict each other; the other does not count. Said once.
    case refused(FormationRefusal)
    /// What can't get better without the operator: end the process. Last effect.
    case fatal(String)
    /// No cluster within the limit: end the process. Last effect.
    case gaveUp(String)
}
