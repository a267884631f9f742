import Chance
import Cluster
import NodeLogic
import Raft
import Registry
import Replication
import Time
import Wire
import WriteAheadLog

/// A start: carries out what `StartPlan` and `RecoveryPlan` decide about the node's files, as the
/// daemon does. It may be cut off between any two steps.
extension SimulatedNode {
    enum StartFailure: Error {
        /// The disk fails the start; another may go well.
        case disk(LogError)
        /// The node must not start on what it found; the text says why and what to do.
        case refused(String)
        case broken(String)
    }

    func start(at now: Int, boot: RandomID) throws(StartFailure) {
        do {
            if let peers {
                try recover(by: peers, boot)
                log = nil
                self.peers = nil
                counts.recoveries += 1
            }
            try open(at: now, boot)
        } catch let failure as StartFailure {
            log = nil
            throw failure
        } catch let error as LogError {
            log = nil
            if case .corrupt = error { throw .refused("\(error)") }
            throw .disk(error)
        } catch {
            log = nil
            throw .refused("\(error)")
        }
    }

    /// What the names tell.
    private var inventory: StartInventory {
        if mutation == .startsWithoutItsLog, disk.files(in: Self.directory).isEmpty {
            removeDatabases()
        }
        return StartInventory(
            directory: Self.folder,
            segments: LogInspection.segments(
                among: disk.files(in: Self.directory).map {
                    String($0.dropFirst(Self.directory.count + 1))
                }),
            generations: databases.map(\.generation), incoming: incoming)
    }

    /// Works on the open log.
    private func withLog<Result>(
        _ body: (inout SegmentedLog<SimulatedDisk>) throws(LogError) -> Result
    ) throws -> Result {
        guard var log = log.take() else { throw StartFailure.broken("the log is not open") }
        let result: Swift.Result<Result, LogError>
        do throws(LogError) {
            result = .success(try body(&log))
        } catch {
            result = .failure(error)
        }
        self.log = consume log
        return try result.get()
    }

    private func openLog(_ boot: RandomID) throws -> LogState {
        log = try .open(
            on: disk, directory: Self.directory, limits: logLimits, bootID: boot)
        return try withLog { $0.state }
    }

    private func record(_ records: [MetadataRecord]) throws {
        try withLog { (log) throws(LogError) in
            try log.append(LogBatch(records: records))
            try log.sync()
        }
    }

    private func open(at now: Int, _ boot: RandomID) throws {
        var found = inventory
        while true {
            switch try StartPlan.step(found) {
            case .openLog:
                let state = try openLog(boot)
                if let stored = state.identity, stored != identity {
                    throw StartFailure.broken("identity changed on disk")
                }
                found.segments = max(1, found.segments)
                found.log = StartInventory.Log(state)
            case .recordIdentity:
                try record([.identity(identity)])
                found.log?.hasIdentity = true
            case .createDatabase(let generation):
                create(generation)
                found.generations = databases.map(\.generation)
                found.incoming = incoming
            case .recordGeneration(let generation):
                var records: [MetadataRecord] = [.generation(generation.rawValue)]
                if let keptCluster { records.append(.cluster(keptCluster)) }
                try record(records)
                found.log?.generation = generation
                if let keptCluster { found.log?.cluster = keptCluster }
            case .openDatabase(let generation):
                live = generation
                try pretendToHaveApplied()
                found.database = StartInventory.Database(database.stored)
            case .setDatabaseAside:
                throw StartFailure.broken("a database was damaged that never is")
            case .removeLeftovers(let generation):
                counts.leftoversRemoved += 1
                databases.removeAll { $0.generation != generation }
                incoming = []
                found.generations = [generation]
                found.incoming = []
            case .run: return try begin(at: now)
            }
        }
    }

    private func create(_ generation: Generation) {
        var state = ModelState()
        state.cluster = keptCluster
        databases.append(ModelDatabase(generation: generation, state: state))
        incoming.removeAll { $0 == "incoming-\(generation).sqlite" }
    }

    private func pretendToHaveApplied() throws {
        let log = try withLog { $0.state }
        guard mutation == .skipsReapplying, log.commitIndex > database.live.position.index,
            let term = log.term(at: log.commitIndex)
        else { return }
        databases[current].pretend(LogPosition(index: log.commitIndex, term: term))
    }

    private func begin(at now: Int) throws {
        let opened = try withLog { $0.state }
        let applied = database.live.position.index
        let tail = try withLog { (log) throws(LogError) in
            try log.tail(after: applied, holding: Self.heldBytes)
        }
        var beginning = try StartPlan.beginning(
            log: opened, database: database.stored, tail: tail, plan: plan,
            hasRegistry: hasRegistry)
        let restored = beginning.restored
        guard restored.commitIndex <= restored.lastIndex else {
            throw StartFailure.broken(
                "committed through \(restored.commitIndex), log ends at \(opened.last)")
        }
        if mutation == .forgetsHardState { beginning.restored.hardState = HardState() }
        if mutation == .forgetsVote { beginning.restored.hardState.votedFor = nil }
        run += 1
        noteRestored(beginning.restored, opened)
        covered = .zero
        logKeeper = LogKeeper()
        applyKeeper = ApplyKeeper(
            applyLimits, generation: live, applied: applied, now: clock(now))
        let chance = Xoshiro256((random.next(), random.next(), random.next(), random.next() | 1))
        var machine = NodeMachine(options, chance: chance, now: clock(now))
        machine.begin(beginning)
        let expected = max(opened.commitIndex, restored.appliedIndex)
        if let replicated = machine.replicated, replicated.raft.commitIndex != expected {
            throw StartFailure.broken("commitIndex does not begin at \(expected)")
        }
        self.machine = machine
        if !candidates.isEmpty { post(.candidates(Candidates(candidates))) }
        carryOut(at: now)
    }

    /// For the invariants.
    private func noteRestored(_ restored: RestoredState, _ opened: LogState) {
        if let synced = syncedHardState {
            let found = restored.hardState
            let isVoteKept = synced.votedFor == nil || synced.votedFor == found.votedFor
            if found.term < synced.term || found.term == synced.term && !isVoteKept {
                output.append(
                    .broke("\(id) forgot what its disk held: term \(synced.term) or its vote"))
            }
        }
        shadowBase = restored.base
        shadowTerms = []
        var index = restored.base.index.next
        while index <= restored.lastIndex {
            shadowTerms.append(opened.term(at: index) ?? .zero)
            index = index.next
        }
        syncedTerm = opened.hardState.term
        syncedIndex = opened.lastIndex
    }

    // MARK: Recovery

    /// As `ClusterRecovery` in the daemon: what stands in `raft/peers.json` goes into log and
    /// database, each step durable before the next.
    private func recover(by file: PeersRecovery, _ boot: RandomID) throws {
        let found = inventory
        _ = try StartPlan.step(found)
        guard found.segments > 0 else { throw RecoveryError.noState(Self.folder) }
        let state = try openLog(boot)
        live = try RecoveryPlan.generation(found, log: state)
        let stored = database.stored
        let known = try RecoveryPlan.known(log: state, database: stored)
        let membership = try RecoveryPlan.membership(
            of: file.peers, known: known, own: state.identity ?? identity)
        let plan = try RecoveryPlan(membership, log: state, database: stored)
        switch plan.step {
        case .nothing: break
        case .database(let cluster, let index):
            counts.recoveriesResumed += 1
            databases[current].establish(cluster, plan.membership, from: index)
        case .logAndDatabase(let cluster, let index):
            databases[current].finishCheckpoint()
            try record([.recovered(cluster, plan.membership, at: index)])
            if isMishapPossible, random.chance(1, of: 4) {
                // The process ends between the two.
                throw LogError.failed(
                    DiskError(.sync, Self.folder, code: 130, isNoSpace: false, reason: "dead"))
            }
            databases[current].establish(cluster, plan.membership, from: index)
        }
    }

    // MARK: Settings

    /// A checkpoint comes after some twenty entries, and a hold ends after sixty.
    private var applyLimits: ApplyKeeper.Limits {
        var limits = ApplyKeeper.Limits(
            checkpointBytes: Int64(random.within(1500...3500)), checkpointEntries: 15,
            checkpointInterval: .seconds(1), holdBytes: 6000)
        if let mutation { limits.rules = mutation.rules }
        return limits
    }

    private var logLimits: LogLimits {
        var limits = LogLimits(segmentBytes: 8192)
        if let mutation { limits.rules = mutation.rules }
        return limits
    }

    /// So few that many a start reads committed entries from the log again, by and by.
    private static var heldBytes: Int { 512 }

    private var options: NodeOptions {
        var raft = RaftSettings()
        if let mutation { raft.rules = mutation.rules }
        raft.electionTicks = 10
        raft.heartbeatTicks = 2
        raft.quorumTicks = 10
        raft.stallTicks = mutation == .leadsWithoutDisk ? .max : 20
        raft.maxMessageEntries = 16
        raft.maxMessageBytes = 2048
        raft.maxInflightMessages = 4
        raft.maxInflightBytes = 4096
        raft.maxUncommittedBytes = 64 << 10
        raft.maxCachedBytes = 2048
        raft.caughtUpEntries = Self.caughtUpEntries
        var replication = ReplicationSettings()
        replication.maxApplyEntries = 16
        replication.compactionThreshold = 20
        replication.trailingEntries = 10
        replication.compactionRetryTicks = 20
        var settings = MachineSettings(
            explicitID: nil, fallbackID: id, address: address, apiURL: "http://\(address)",
            dataDirectory: "", version: "simulated")
        settings.raft = raft
        settings.router.rules = raft.rules
        settings.replication = replication
        settings.tick = Self.tick
        settings.applyTimeout = .seconds(3)
        // The database stands still with the log, which would be a reason, too.
        if mutation == .leadsWithoutDisk { settings.standstillTime = .seconds(100_000) }
        settings.plan = plan
        settings.snapshotSendTime = .seconds(6)
        settings.reapTimeouts = reapTimeouts
        if comparesChecksums {
            settings.checksums = ChecksumSettings()
            settings.checksums.interval = .seconds(1)
            settings.checksums.scrubInterval = .seconds(3)
        }
        return NodeOptions(identity: identity, engine: "model", settings: settings)
    }
}
