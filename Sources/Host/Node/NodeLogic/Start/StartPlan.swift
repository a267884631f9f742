import Cluster
package import Raft
import Registry
import Wire
package import WriteAheadLog

/// What a start has to do next with a data directory. Each step is durable when it is done, so that
/// a start may be cut off anywhere: the next one goes on from what it finds.
package enum StartStep: Equatable, Sendable {
    /// Makes the log if there is none.
    case openLog
    /// Gives the new log to a node. Before there is a database: one that stands beside a log without
    /// an identity is always another life's.
    case recordIdentity
    /// Makes the node's first, empty database.
    case createDatabase(Generation)
    /// Lets the log name the database that stands there complete.
    case recordGeneration(Generation)
    case openDatabase(Generation)
    /// Lets the log say that the database is not to be trusted, keeps the damaged file beside it, and
    /// puts one without rows in its place: the node votes with its log, serves nothing, and is seeded.
    case setDatabaseAside(Generation)
    /// Deletes what an interrupted change of the database left. The one step that deletes: the
    /// database that is kept has been opened and fits the log.
    case removeLeftovers(keeping: Generation)
    /// Log and database fit together.
    case run
}

/// Decides, from what log and database say, how a node starts. Pure; the shell carries it out.
///
/// | found | what a start does |
/// |---|---|
/// | nothing | log, identity, database, generation, in this order |
/// | a database file, but no log, or one without an identity | refuses |
/// | a log with an identity that names no database | makes it, or takes the one it made before |
/// | a log that names a database that is missing | refuses |
/// | a damaged database, and others in the cluster | sets it aside, to be seeded by the leader |
/// | a damaged database of a node alone | refuses |
/// | a database more than one generation ahead of the log | refuses: the log is of another age |
/// | one generation ahead, or any before | what an interrupted change left: deleted at the end |
/// | log and database of two clusters, or that don't reach each other | refuses |
package enum StartPlan {
    /// What is to be done next, or why the node must not start.
    package static func step(_ found: StartInventory) throws(StartError) -> StartStep {
        guard let log = found.log else {
            guard found.segments == 0 else { return .openLog }
            guard found.databaseFiles.isEmpty else { throw withoutLog(found) }
            guard !found.wouldFoundWithoutVote else { throw .nothingToFollow }
            return .openLog
        }
        guard !log.isDamaged else { throw damaged(found.directory) }
        guard log.hasIdentity else {
            guard found.databaseFiles.isEmpty else { throw withoutLog(found) }
            guard log.last == .zero, log.cluster == nil, log.generation == nil else {
                throw .logIncomplete(directory: found.directory, entries: log.last)
            }
            guard !found.wouldFoundWithoutVote else { throw .nothingToFollow }
            return .recordIdentity
        }
        guard log.cluster != nil || !found.wouldFoundWithoutVote else { throw .nothingToFollow }
        guard let named = log.generation else { return try firstDatabase(found, log) }
        if let newest = found.generations.last, newest.isBeyondNext(of: named) {
            throw .generationUnknown(newest, named: named, directory: found.directory)
        }
        guard found.generations.contains(named) else {
            throw .databaseMissing(
                named, directory: found.directory, files: found.databaseFiles)
        }
        if let damage = found.damage {
            guard log.cluster != nil, log.members > 1 else {
                throw .databaseDamaged(named, directory: found.directory, cause: damage)
            }
            return .setDatabaseAside(named)
        }
        guard let database = found.database else { return .openDatabase(named) }
        try compare(log, database)
        return found.databaseFiles.count == 1 ? .run : .removeLeftovers(keeping: named)
    }

    /// The log names no database yet. A node that ran has one.
    private static func firstDatabase(
        _ found: StartInventory, _ log: StartInventory.Log
    ) throws(StartError) -> StartStep {
        guard log.last == .zero, log.cluster == nil else {
            throw .logIncomplete(directory: found.directory, entries: log.last)
        }
        if let newest = found.generations.last, newest > .first {
            throw .generationUnknown(newest, named: .first, directory: found.directory)
        }
        return found.generations.isEmpty ? .createDatabase(.first) : .recordGeneration(.first)
    }

    private static func compare(
        _ log: StartInventory.Log, _ database: StartInventory.Database
    ) throws(StartError) {
        var known = database.cluster
        // It may still name a bootstrap that was dropped before anything was written.
        if let other = known, database.applied == .zero, log.abandoned.contains(other) {
            known = nil
        }
        switch (log.cluster, known) {
        case (let one?, let other?) where one != other:
            throw .clustersDiffer(log: one, database: other)
        // The log learns of a cluster first.
        case (nil, let other?): throw .logOfEarlierLife(database: other)
        default: break
        }
        guard database.applied <= log.last else {
            throw .logBehindDatabase(log: log.last, database: database.applied)
        }
        guard database.applied >= log.base else {
            throw .logAfterDatabase(base: log.base, database: database.applied)
        }
    }

    private static func withoutLog(_ found: StartInventory) -> StartError {
        .databaseWithoutLog(directory: found.directory, files: found.databaseFiles)
    }

    private static func damaged(_ directory: String) -> StartError {
        .logDamaged(
            "the end of the log in \(directory)/log is damaged although the machine did not "
                + "restart. To rejoin: remove the node from the cluster (DELETE /remove), move "
                + "its data directory away and start it with an empty one")
    }

    /// The node's ID is stored at its first start; later only the same may be given.
    /// - Throws: `nodeIDDiffers`.
    package static func identity(
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

    /// What the consensus core starts from. `tail` is of the entries after the database's position.
    /// - Throws: what `step` would, if the two don't fit.
    package static func restored(
        log: LogState, database: StoredDatabase, tail: LogTail
    ) throws(StartError) -> RestoredState {
        let applied = database.position.index
        try compare(StartInventory.Log(log), StartInventory.Database(database))
        // Nothing checks what the disk has made of that number, and the next change of the membership would trap.
        // A recovery by hand may tell a database without rows of one that it has not come to.
        guard database.membershipIndex <= max(applied, log.membershipIndex) else {
            throw .storage(
                "the database says that entry \(database.membershipIndex) set its membership, but it has "
                    + "applied entry \(applied) only: it is damaged. To rejoin: remove the node from the "
                    + "cluster (DELETE /remove), move its data directory away and start it with an empty one"
            )
        }
        let databaseIsNewer = database.membershipIndex > log.membershipIndex
        return RestoredState(
            hardState: log.hardState, base: log.base, termRuns: log.termRuns,
            lastIndex: log.lastIndex, tail: tail.entries, passed: tail.passed,
            membership: databaseIsNewer ? database.membership : log.membership,
            membershipIndex: max(database.membershipIndex, log.membershipIndex),
            appliedMembership: database.membership,
            appliedMembershipIndex: database.membershipIndex,
            commitIndex: max(log.commitIndex, applied), appliedIndex: applied)
    }

    /// What the node's machine begins with. `tail` is of the entries after the database's position.
    /// - Throws: what `restored` and `formation` do.
    package static func beginning(
        log: LogState, database: StoredDatabase, tail: LogTail, plan: FormationPlan,
        hasRegistry: Bool
    ) throws(StartError) -> NodeMachine.Beginning {
        var beginning = NodeMachine.Beginning(
            restored: try restored(log: log, database: database, tail: tail),
            cluster: log.cluster, isEstablished: database.cluster == log.cluster,
            formation: try formation(log: log, plan: plan), hasRegistry: hasRegistry,
            skips: database.decided, quarantine: try quarantine(log: log))
        beginning.isTraced = database.isTraced
        return beginning
    }

    /// Whether the database was to be trusted when the node ran last.
    package static func quarantine(log: LogState) throws(StartError) -> Quarantine {
        do throws(WireError) {
            return try Quarantine(decoding: log.quarantine)
        } catch {
            throw .storage("what the log says of the database's quarantine is unreadable: \(error)")
        }
    }

    /// That the database is not to be trusted, because it can't be opened.
    /// - Parameter wallMilliseconds: now, in milliseconds since 1970.
    package static func quarantine(
        log: LogState, damage: String, wallMilliseconds: Int64
    ) throws(StartError) -> Quarantine {
        var quarantine = try quarantine(log: log)
        quarantine.cause = Quarantine.Cause(
            text: "the database could not be opened: \(damage)", index: log.base.index,
            since: wallMilliseconds)
        return quarantine
    }

    /// What the disk says of attempts to come to a cluster. One that was begun in a registry can't
    /// be forgotten for another: there might be two clusters then.
    package static func formation(
        log: LogState, plan: FormationPlan
    ) throws(StartError) -> StoredFormation {
        var stored = StoredFormation()
        do throws(WireError) {
            if let bytes = log.formation { stored.acceptor = try AcceptorState(decoding: bytes) }
            if let bytes = log.registry { stored.registry = try RegistryState(decoding: bytes) }
        } catch {
            throw .storage("what the log says of the forming of a cluster is unreadable: \(error)")
        }
        // Dropped while the node had another plan, or by a version that left it in place.
        for cluster in log.abandonedClusters where cluster != log.cluster {
            stored.registry.abandon(cluster)
        }
        if log.cluster == nil { try check(stored, against: plan) }
        return stored
    }

    /// Whoever has begun to found a cluster in one way founds none in another: the first may have
    /// come into being, and then there would be two.
    private static func check(
        _ stored: StoredFormation, against plan: FormationPlan
    ) throws(StartError) {
        switch plan {
        case .alone, .bootstrap:
            if let value = stored.registry.unsettled { throw .claimUnsettled(value.cluster) }
        case .join, .registry: break
        }
        switch plan {
        case .alone, .registry:
            if stored.acceptor.isEngaged { throw .agreementUnsettled }
        case .join, .bootstrap: break
        }
    }
}

extension StartInventory.Log {
    /// What an opened log says; `recordIdentity` and `recordGeneration` change it later.
    package init(_ state: LogState) {
        self.init(
            hasIdentity: state.identity != nil,
            generation: state.generation == 0 ? nil : Generation(state.generation),
            cluster: state.cluster, abandoned: state.abandonedClusters, base: state.base.index,
            last: state.lastIndex, isDamaged: state.mustCatchUpBeforeVoting,
            members: state.membership.members.count)
    }
}

extension StartInventory.Database {
    package init(_ state: StoredDatabase) {
        self.init(cluster: state.cluster, applied: state.position.index)
    }
}

extension Generation {
    /// A change of the database makes the next generation only, so a log can't have led to this one.
    fileprivate func isBeyondNext(of named: Generation) -> Bool {
        rawValue > named.rawValue && rawValue - named.rawValue > 1
    }
}
