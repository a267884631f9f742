import NodeLogic
package import Raft
import SQLite
import StateMachine
import Wire
import WriteAheadLog

/// Gives a node another cluster's membership by an operator's word, on log and database. Every step
/// is durable before the next, and a recovery that was interrupted anywhere is ended by the same one
/// again:
///
/// 1. the database is checkpointed, so that its position can't go back;
/// 2. the log says the new cluster ID, members and epoch, in one record;
/// 3. the database says them, and is checkpointed.
///
/// The caller holds the directory's lock, and no thread of a node runs.
package enum ClusterRecovery {
    /// What a recovered node is.
    package struct Outcome: Equatable, Sendable {
        /// The node's ID and the incarnation of its data directory, both as they were.
        package var identity: NodeIdentity
        /// The new cluster's ID: the old one's survivors are strangers to it.
        package var cluster: ClusterID
        /// Who belongs to it.
        package var membership: Membership
        /// Of the entry that the recovery wrote.
        package var lastPosition: LogPosition
    }

    /// - Parameters:
    ///   - skip: an entry that the members leave out.
    ///   - membership: made of what the log says.
    static func run(
        in directory: String, bootID: RandomID, skipping skip: EntrySkip? = nil,
        membership choose: (LogState, Membership) throws(RecoveryError) -> Membership
    ) throws -> Outcome {
        // As at a start: a log is not made where a database lost its own.
        let found = try StartInventory(namesIn: directory)
        _ = try StartPlan.step(found)
        guard found.segments > 0 else { throw RecoveryError.noState(directory) }
        var log = try SegmentedLog<PosixDisk>.open(
            on: PosixDisk(), directory: directory + "/log", bootID: bootID)
        guard let identity = log.state.identity else { throw RecoveryError.noState(directory) }
        let generation = try RecoveryPlan.generation(found, log: log.state)
        let database = try open(DatabaseDirectory(path: directory).file(of: generation))
        let applied = database.applied
        let known = try RecoveryPlan.known(log: log.state, database: StoredDatabase(applied))
        let membership = try choose(log.state, known)
        if let skip {
            let found = try log.entries(from: LogIndex(skip.index), byteLimit: 1).first
            try check(skip, database, found)
            // Another member may have it.
            guard found != nil || membership.members.count > 1 else {
                throw RecoveryError.failed(
                    "the log ends at entry \(log.state.last.index), and skip.json names entry "
                        + "\(skip.index): there is no such entry")
            }
        }
        let plan = try RecoveryPlan(
            membership, skipping: skip, log: log.state, database: StoredDatabase(applied))
        switch plan.step {
        case .nothing: break
        case .database(let cluster, let index):
            try tell(database, cluster, plan.membership, index, skip)
        case .logAndDatabase(let cluster, let index):
            try checkpoint(database)
            try log.append(
                LogBatch(records: [.recovered(cluster, plan.membership, at: index)]))
            try log.sync()
            try tell(database, cluster, plan.membership, index, skip)
        }
        return Outcome(
            identity: identity, cluster: try cluster(of: log.state),
            membership: plan.membership, lastPosition: log.state.last)
    }

    /// What a start sets aside is not for a recovery, which would make a member of what has no rows.
    private static func open(_ path: String) throws -> Applier {
        do throws(ApplyFault) {
            return try Applier(path: path)
        } catch {
            guard error.isDamage else { throw error }
            throw RecoveryError.damaged(
                "\(path) is damaged: \(error). Nothing was changed. Recover another node; or, where several "
                    + "go on together by raft/peers.json, start this one once without that file, which "
                    + "sets the database aside and keeps the log, stop it, and put the file back")
        }
    }

    private static func cluster(of log: LogState) throws(RecoveryError) -> ClusterID {
        guard let cluster = log.cluster else { throw .noCluster }
        return cluster
    }

    private static func tell(
        _ database: Applier, _ cluster: ClusterID, _ membership: Membership, _ index: LogIndex,
        _ skip: EntrySkip?
    ) throws {
        try database.establish(
            cluster: cluster, membership: membership, from: index, skipping: skip)
        try checkpoint(database)
    }

    /// The entry must be the one that is meant, and not applied here.
    private static func check(
        _ skip: EntrySkip, _ database: Applier, _ entry: Entry?
    ) throws(RecoveryError) {
        do throws(ApplyFault) {
            try database.accepts(skip)
        } catch {
            throw RecoveryError.failed(
                "this node applied log entry \(skip.index), which skip.json leaves out: list it no "
                    + "more in peers.json, and let it join with an empty directory")
        }
        guard let entry else { return }
        guard Applier.hash(of: entry) == skip.hash else {
            throw RecoveryError.failed(
                "log entry \(skip.index) has hash \(Applier.hash(of: entry)), and skip.json names "
                    + "\(skip.hash): it is another entry")
        }
    }

    /// Nobody reads: anything but a complete checkpoint is a failure.
    private static func checkpoint(_ database: Applier) throws {
        guard try database.checkpoint().extent == .complete else {
            throw RecoveryError.failed("the database \(database.path) can't be checkpointed")
        }
    }
}

extension ClusterRecovery {
    /// By `raft/peers.json`, at a node's start; the file is renamed when all is done.
    static func run(_ file: PeersRecovery, in directory: String, bootID: RandomID) throws {
        do {
            _ = try run(in: directory, bootID: bootID, skipping: file.skip) {
                (log, known) throws(RecoveryError) in
                guard let own = log.identity else { throw .noState(directory) }
                return try RecoveryPlan.membership(of: file.peers, known: known, own: own)
            }
        } catch {
            throw StartError.storage(
                "failed to open store: failed to recover node: \(error) (by \(file.path))")
        }
        do throws(DiskError) {
            let disk = PosixDisk()
            // First: without it the file of the peers says only what is done already.
            if file.skip != nil {
                try disk.rename(directory + "/raft/skip.json", to: directory + "/raft/skip.info")
            }
            try disk.rename(file.path, to: file.recordPath)
            try disk.syncDirectory(directory + "/raft")
        } catch {
            throw StartError.storage(
                "failed to open store: failed to move \(file.path) after recovery: \(error)")
        }
    }

    /// Makes the node in a data directory the only voter of a cluster with the same data.
    /// - Parameter survivors: the last log positions of the other nodes that are left.
    package static func force(
        in directory: String, survivors: [LogPosition]
    ) throws -> Outcome {
        if let problem = Engine.unfitness() { throw StartError.storage(problem) }
        let lock = try DirectoryLock(existing: directory)
        defer { _ = lock }
        return try run(in: directory, bootID: Node.bootID()) {
            (log, known) throws(RecoveryError) in
            guard let own = log.identity else { throw .noState(directory) }
            for survivor in survivors where !log.last.isUpToDate(with: survivor) {
                throw .survivorIsNewer(survivor, own: log.last, own.id)
            }
            guard var member = known[own.id], member.incarnation == own.incarnation else {
                throw .notMember(own.id)
            }
            member.suffrage = .voter
            return Membership([member])
        }
    }

    /// What the data directory of a stopped node says; nothing is changed.
    package struct Facts: Equatable, Sendable {
        /// The node's ID and the incarnation of its data directory.
        package var identity: NodeIdentity
        /// Nil of a node that never came to one.
        package var cluster: ClusterID?
        /// The newest that the node has seen.
        package var term: Term
        /// Of the newest whole entry.
        package var lastPosition: LogPosition
        /// As far as the log says, which may lag behind what was committed.
        package var commitIndex: LogIndex
        /// The newest in the log.
        package var membership: Membership
        /// What the next start would cut off the log's end.
        package var torn: String?
        /// Why the node's database is not to be trusted; nil: it is, as far as it was looked at.
        package var distrust: String?
    }

    /// Blocks while it reads the whole log.
    /// - Throws: `RecoveryError` if there is no node's state, and the errors of the directory's
    /// lock if a
    ///   process uses it.
    package static func inspect(_ directory: String) throws -> Facts {
        let lock = try DirectoryLock(existing: directory)
        defer { _ = lock }
        let (log, torn) = try LogInspection.read(directory + "/log", bootID: try Node.bootID())
        guard let identity = log.identity else { throw RecoveryError.noState(directory) }
        return Facts(
            identity: identity, cluster: log.cluster, term: log.hardState.term,
            lastPosition: log.last, commitIndex: log.commitIndex, membership: log.membership,
            torn: torn.map { "\($0)" }, distrust: try RecoveryPlan.distrust(log))
    }
}
