package import Raft

/// What the shell of a keeper must do, in order.
package enum RegistryKeeperEffect: Equatable, Sendable {
    /// Call the plugin; report `answered`, in the end in any case.
    case ask(RegistryRequest, RegistryRequestID, timeout: Duration)
    /// Where members of the own cluster say they are, this node left out, or where its entry says that the leader
    /// is: for a member that has no contact to its leader. Said when it loses contact, and once per change while
    /// it has none. For a founder whose cluster never had a leader also where the leader of another cluster is, if
    /// the entry is that one's.
    case candidates([PeerAddress])
    /// The leader's entry names this node now, by its own write, for the first time since it leads.
    case published(LeaderEntry)
    /// The entry that this node had published was gone, or somebody changed it: it is right again.
    case restored(LeaderEntry)
    /// The record of this name said nothing any more, and is gone. Once per record.
    case erased(String)
    /// Something that an operator should look at. It lasts until `resolved`.
    case raised(RegistryAlarm)
    case resolved(RegistryAlarm)
    /// The registry permits no records of nodes: they are off. Said once. The formation, if one is
    /// under way, must hear of it (`RegistryFormation.nodeRecordsOff`).
    case nodeRecordsOff(String)
    /// The registry fails; said once, until it works again. For the log at level warning.
    case failing(String)
    /// It works again.
    case working
}

/// A state of the registry that the node does not, and must not, change by itself.
package enum RegistryAlarm: Hashable, Sendable, CustomStringConvertible {
    /// Another cluster uses the same key. `entry` is the one the record `leader` names, `own` this
    /// node's; `revision` is the record's, for `rqlited disco clear`.
    case otherClusterLeads(entry: ClusterID, own: ClusterID, revision: Revision)
    /// The record `leader` names the own cluster, but another keeps records of nodes.
    case otherClusterPresent(other: ClusterID, own: ClusterID)
    /// The record `leader` was written by rqlite, for a cluster of its own.
    case foreignEntry(address: String, own: ClusterID, revision: Revision)
    /// The record `leader` is nothing known.
    case unreadableEntry(reason: String, own: ClusterID, revision: Revision)
    /// The node follows a leader of its cluster, and the registry has no record `leader`.
    case leaderUnseen(own: ClusterID)
    /// Another live node keeps its record under this node's ID.
    case nodeIDTaken(NodeID, other: PeerAddress)

    package var description: String { text(clearCommand: "rqlited disco clear") }

    /// For the operator.
    /// - Parameter clearCommand: what is to be typed to repair the registry, but for the last flag.
    package func text(clearCommand: String) -> String {
        switch self {
        case .otherClusterLeads(let entry, let own, let revision):
            "two clusters use one key of the registry: its leader entry is cluster \(entry)'s, this "
                + "node is in cluster \(own) and leaves the entry alone; give one of them another "
                + "-disco-key, or, if cluster \(entry) is gone for good, run "
                + "\(clearCommand) --expect \(revision)"
        case .otherClusterPresent(let other, let own):
            "two clusters use one key of the registry: the leader entry is this one's, \(own), but "
                + "nodes of cluster \(other) have records there; give one of them another "
                + "-disco-key, or, if cluster \(other) is gone for good, run "
                + "\(clearCommand) --cluster \(other)"
        case .foreignEntry(let address, let own, let revision):
            "the registry's leader entry was written by rqlite and names \(address); this node, of "
                + "cluster \(own), leaves it alone; give one of them another -disco-key, or, if the "
                + "other is gone for good, run \(clearCommand) --expect \(revision)"
        case .unreadableEntry(let reason, let own, let revision):
            "the registry's leader entry can't be read (\(reason)); this node, of cluster \(own), "
                + "leaves it alone; if nobody needs it, run "
                + "\(clearCommand) --expect \(revision)"
        case .leaderUnseen(let own):
            "this node follows a leader of cluster \(own), and the registry shows no leader entry: "
                + "the nodes don't use one registry, so new ones would found clusters of their own; "
                + "give all the same -disco-mode, -disco-key and -disco-config, and a plugin that keeps "
                + "its records where all can see them"
        case .nodeIDTaken(let id, let other):
            "another node, at \(other), keeps its record in the registry under the ID \(id) of this "
                + "one: give each a -node-id and a data directory of its own"
        }
    }
}
