import Cluster
package import Raft

/// Why a node can't start on the data it found. The text tells what to do.
package enum StartError: Error, Equatable, Sendable, CustomStringConvertible {
    case nodeIDDiffers(stored: NodeID, given: NodeID, directory: String)
    case clustersDiffer(log: ClusterID, database: ClusterID)
    /// The log does not reach up to what the database has applied.
    case logBehindDatabase(log: LogIndex, database: LogIndex)
    /// The log begins after the entry that the database needs next.
    case logAfterDatabase(base: LogIndex, database: LogIndex)
    /// The log is of a time before the node had its cluster, the database is of a later one.
    case logOfEarlierLife(database: ClusterID)
    case logDamaged(String)
    /// Database files, but no log, or one that was never given to a node.
    case databaseWithoutLog(directory: String, files: [String])
    /// A log with entries that names no node, or no database.
    case logIncomplete(directory: String, entries: LogIndex)
    /// The log names a database file that is not there.
    case databaseMissing(Generation, directory: String, files: [String])
    /// The database file is damaged, and no other node is there to take one from.
    case databaseDamaged(Generation, directory: String, cause: String)
    /// There is a database file that is newer than any the log can know.
    case generationUnknown(Generation, named: Generation, directory: String)
    /// A read replica can't found a cluster.
    case nothingToFollow
    /// There is no room on the disk for what a start has to write.
    case noRoom(directory: String, cause: String)
    /// The node may have founded a cluster in a registry, and others may have started it.
    case claimUnsettled(ClusterID)
    /// Others may found a cluster that counts on this node.
    case agreementUnsettled
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
        case .logOfEarlierLife(let database):
            """
            the database belongs to cluster \(database), but the log is of a time before the node \
            had a cluster: it is older than the database. Put the right log back, or start with \
            an empty directory and let the node join
            """
        case .logDamaged(let text): text
        case .agreementUnsettled:
            """
            this node has begun to agree with others on a cluster, and can't know without them \
            whether it was founded: start it with -bootstrap-expect again, or let it -join, or use \
            another data directory
            """
        case .claimUnsettled(let cluster):
            """
            this node has begun to found cluster \(cluster) by way of a registry, and can't know \
            without it whether the cluster exists: start it with the same -disco-mode again, or \
            let it -join, or use another data directory
            """
        case .nothingToFollow:
            """
            -raft-non-voter was given, but no cluster to follow: a read replica can't found one. \
            Add -join with the address of a node, or -disco-mode, or leave -raft-non-voter out
            """
        case .noRoom(let directory, let cause):
            """
            there is no room on the disk of \(directory) (\(cause)): the node did not start. Make \
            room, then start it again
            """
        case .storage(let text): text
        case .directoryInUse(let directory):
            "another process uses the data directory \(directory): stop it, or use another directory"
        case .databaseDamaged(let generation, let directory, let cause):
            """
            the database \(directory)/db-\(generation).sqlite is damaged (\(cause)), and this node has \
            no cluster with others that could seed it. Nothing was deleted. Restore a backup: move \
            the directory away, start the node with an empty one and load the backup
            """
        case .databaseWithoutLog, .logIncomplete, .databaseMissing, .generationUnknown:
            incompleteDirectory
        }
    }

    /// Parts of a node's data are missing, or of another age than the rest.
    private var incompleteDirectory: String {
        switch self {
        case .databaseWithoutLog(let directory, let files):
            """
            \(directory) holds a database (\(Self.list(files))) but not its log (\(directory)/log): \
            is a volume not mounted, or a restore incomplete? Nothing was deleted. Put the log \
            back; or, if it is lost, move the whole directory away, remove the node from its \
            cluster (DELETE /remove) and start it with an empty one and -join
            """
        case .logIncomplete(let directory, let entries):
            """
            the log in \(directory)/log reaches to entry \(entries), but does not say which node and \
            database it belongs to: it is incomplete. Nothing was deleted. Put all of its files back; or move the whole directory away, remove the \
            node from its cluster (DELETE /remove) and start it with an empty one and -join
            """
        case .databaseMissing(let generation, let directory, let files):
            """
            the log in \(directory) needs the database db-\(generation).sqlite, which is not there \
            (\(files.isEmpty ? "there is none" : "there is \(Self.list(files))")): is a volume not \
            mounted, or a restore incomplete? Nothing was deleted. Put the file back; or move the \
            whole directory away, remove the node from its cluster (DELETE /remove) and start it \
            with an empty one and -join
            """
        case .generationUnknown(let generation, let named, let directory):
            """
            \(directory) holds the database db-\(generation).sqlite, but its log knows of \
            db-\(named).sqlite only: the log is older than the database. Nothing was deleted. Put \
            the right log back; or move the whole directory away, remove the node from its \
            cluster (DELETE /remove) and start it with an empty one and -join
            """
        default: "the data directory is incomplete"
        }
    }

    private static func list(_ files: [String]) -> String {
        files.prefix(4).joined(separator: ", ") + (files.count > 4 ? ", …" : "")
    }
}
