import Cluster
import NodeMachine
package import Raft
import Registry
import StateMachine
import Wire
import WriteAheadLog

/// Why a node can't start on the data it found. The text tells what to do.
package enum StartError: Error, Equatable, Sendable, CustomStringConvertible {
    case nodeIDDiffers(stored: NodeID, given: NodeID, directory: String)
    case clustersDiffer(log: ClusterID, database: ClusterID)
    /// The log does not reach up to what the database has applied.
    case logBehindDatabase(log: LogIndex, database: LogIndex)
    /// The log begins after the entry that the database needs next.
    case logAfterDatabase(base: LogIndex, database: LogIndex)
    case logDamaged(String)
    /// The node may have founded a cluster in a registry, and others may have started it.
    case claimUnsettled(ClusterID)
    case storage(String)
    case directoryInUse(String)

    package var description: String {
        switch self {
        case .nodeIDDiffers(let stored, let given, let directory):
            """
            -node-id \(given) was given, but the data in \(directory) belong to node \(stored): \
            start it with -node-id \(stored) or without the flag, or use another data directory
            """
        case .clustersDiffer(let log, let database):
            """
            the log belongs to cluster \(log), the database to cluster \(database): the data \
            directory was put together from two nodes. Restore its parts from one and the same, \
            or start with an empty directory and let the node join
            """
        case .logBehindDatabase(let log, let database):
            """
            the log ends at entry \(log), but the database has applied entry \(database): log \
            files are missing. Put them back, or start with an empty directory and let the node join
            """
        case .logAfterDatabase(let base, let database):
            """
            the log begins after entry \(base), but the database stands at entry \(database): the \
            database file is older than the log. Put the right one back, or start with an empty \
            directory and let the node join
            """
        case .logDamaged(let text): text
        case .claimUnsettled(let cluster):
            """
            this node has begun to found cluster \(cluster) by way of a registry, and can't know \
            without it whether the cluster exists: start it with the same -disco-mode again, or \
            let it -join, or use another data directory
            """
        case .storage(let text): text
        case .directoryInUse(let directory):
            "another process uses the data directory \(directory): stop it, or use another directory"
        }
    }
}

/// Decides, from what log and database say, how a node starts. Pure; `Node.start` carries it out.
enum StartPlan {
    /// The node's ID is stored at its first start; later only the same may be given.
    static func identity(
        stored: NodeIdentity?, explicit: NodeID?, fallback: NodeID, directory: String,
        fresh: Incarnation
    ) throws(StartError) -> NodeIdentity {
        guard let stored else {
            return NodeIdentity(id: explicit ?? fallback, incarnation: fresh)
        }
        if let explicit, explicit != stored.id {
            throw .nodeIDDiffers(stored: stored.id, given: explicit, directory: directory)
        }
        return stored
    }

    /// What the consensus core starts from. `tail` holds the entries after the database's position.
    static func restored(
        log: LogState, database: AppliedState, tail: [Entry]
    ) throws(StartError) -> RestoredState {
        let applied = database.position.index
        if let one = log.cluster, let other = database.cluster, one != other {
            throw .clustersDiffer(log: one, database: other)
        }
        guard applied <= log.lastIndex else {
            throw .logBehindDatabase(log: log.lastIndex, database: applied)
        }
        guard applied >= log.base.index else {
            throw .logAfterDatabase(base: log.base.index, database: applied)
        }
        let databaseIsNewer = database.membershipIndex > log.membershipIndex
        return RestoredState(
            hardState: log.hardState, base: log.base, termRuns: log.termRuns,
            lastIndex: log.lastIndex, tail: tail,
            membership: databaseIsNewer ? database.membership : log.membership,
            membershipIndex: max(database.membershipIndex, log.membershipIndex),
            appliedMembership: database.membership,
            appliedMembershipIndex: database.membershipIndex,
            commitIndex: max(log.commitIndex, applied), appliedIndex: applied)
    }

    /// What the disk says of attempts to come to a cluster. One that was begun in a registry can't
    /// be forgotten for another: there might be two clusters then.
    static func formation(
        log: LogState, plan: FormationPlan
    ) throws(StartError) -> StoredFormation {
        var stored = StoredFormation()
        do throws(WireError) {
            if let bytes = log.formation { stored.acceptor = try AcceptorState(decoding: bytes) }
            if let bytes = log.registry { stored.registry = try RegistryState(decoding: bytes) }
        } catch {
            throw .storage("what the log says of the forming of a cluster is unreadable: \(error)")
        }
        if log.cluster == nil, let claim = stored.registry.claim {
            switch plan {
            case .alone, .bootstrap: throw .claimUnsettled(claim.value.cluster)
            case .join, .registry: break
            }
        }
        return stored
    }
}
