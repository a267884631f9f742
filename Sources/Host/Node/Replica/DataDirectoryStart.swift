import NodeLogic
import Raft
import StateMachine
import Telemetry
import Threads
import WriteAheadLog

/// Carries out what `StartPlan` decides about a data directory, one step after the other: looks,
/// asks, does, notes what it found, and asks again.
struct DataDirectoryStart {
    /// What a start comes to.
    struct Outcome {
        let identity: NodeIdentity
        let generation: Generation
        let log: LogThread
        /// As it was opened, with what the start recorded.
        let state: LogState
        let apply: ApplyThread
        let database: AppliedState
    }

    let directory: DatabaseDirectory
    private let settings: MachineSettings
    private var found: StartInventory
    private var log: LogThread?
    private var state: LogState?
    private var identity: NodeIdentity?
    private var apply: (thread: ApplyThread, database: AppliedState, generation: Generation)?
    /// A damaged database was set aside already: one more is no use.
    private var hasSetAside = false

    /// Looks at names and changes nothing.
    /// - Throws: what makes the first step impossible.
    init(_ settings: MachineSettings) throws {
        self.settings = settings
        directory = DatabaseDirectory(path: settings.dataDirectory)
        found = try StartInventory(namesIn: settings.dataDirectory)
        found.wouldFoundWithoutVote = !settings.isVoter && settings.plan == .alone
        _ = try StartPlan.step(found)
    }

    /// - Parameters:
    ///   - core: where the log's thread reports to.
    ///   - bootID: of the machine's present run.
    ///   - open: starts the thread of the database; called again where it found a damaged one.
    mutating func carryOut(
        core: Mailbox<NodeEvent>, bootID: RandomID, timings: NodeTimings, logger: Logger,
        open: (Generation) throws -> (ApplyThread, AppliedState)
    ) throws -> Outcome {
        while true {
            switch try StartPlan.step(found) {
            case .openLog: try openLog(core, bootID, timings, logger)
            case .recordIdentity:
                let identity = try nodeIdentity()
                try record(.identity(identity))
                self.identity = identity
                found.log?.hasIdentity = true
            case .createDatabase(let generation):
                try directory.create(generation)
                found.generations = try directory.generations()
                found.incoming = try directory.incomingFiles()
            case .recordGeneration(let generation):
                try record(.generation(generation.rawValue))
                found.log?.generation = generation
            case .openDatabase(let generation):
                try directory.prepareTemporaryFiles()
                if let identity { logger.announce("opening store with node ID \(identity.id)") }
                do {
                    let (thread, database) = try open(generation)
                    apply = (thread, database, generation)
                    found.database = StartInventory.Database(StoredDatabase(database))
                } catch let fault as ApplyFault where fault.isDamage && !hasSetAside {
                    found.damage = "\(fault)"
                }
            case .setDatabaseAside(let generation):
                try setAside(generation, logger)
                found.damage = nil
                hasSetAside = true
            case .removeLeftovers(let generation):
                try directory.removeAll(except: generation)
                found.generations = [generation]
                found.incoming = []
            case .run:
                guard let identity, let log, let state, let apply else {
                    throw StartError.storage("the start ended before log and database were open")
                }
                return Outcome(
                    identity: identity, generation: apply.generation, log: log, state: state,
                    apply: apply.thread, database: apply.database)
            }
        }
    }

    private mutating func openLog(
        _ core: Mailbox<NodeEvent>, _ bootID: RandomID, _ timings: NodeTimings, _ logger: Logger
    ) throws {
        let (log, opened) = try LogThread.start(
            directory: settings.dataDirectory + "/log", bootID: bootID, core: core,
            timings: timings)
        if let torn = opened.torn { logger.warning("log recovered", ["detail": torn]) }
        self.log = log
        state = opened.state
        found.segments = max(1, found.segments)
        found.log = StartInventory.Log(opened.state)
        logger.announce(
            opened.state.identity == nil
                ? "no preexisting node state detected in \(settings.dataDirectory), "
                    + "node may be bootstrapping"
                : "preexisting node state detected in \(settings.dataDirectory)")
        if opened.state.identity != nil { identity = try nodeIdentity() }
    }

    /// Nothing of it counts from the first record on: cut off anywhere, the next start comes here again,
    /// or finds the stand-in.
    private mutating func setAside(_ generation: Generation, _ logger: Logger) throws {
        guard let state else { throw StartError.storage("the log is not open") }
        let cause = found.damage ?? "no cause"
        let quarantine = try StartPlan.quarantine(
            log: state, damage: cause, wallMilliseconds: WallTime.now().milliseconds)
        let note = MetadataRecord.quarantine(quarantine.encoded())
        try record(note)
        self.state?.note(note)
        // What is not committed is in the log alone: it may come to nothing, and then this one holds.
        let settled = state.settledMembership
        let kept = try directory.setAside(
            generation,
            for: AppliedState(
                position: state.base, cluster: state.cluster, membership: settled.membership,
                membershipIndex: min(settled.index, state.base.index)))
        logger.warning(
            "the database is damaged: this node serves nothing until another seeds it",
            ["cause": cause, "kept": kept])
    }

    private func nodeIdentity() throws(StartError) -> NodeIdentity {
        try StartPlan.identity(
            stored: state?.identity, explicit: settings.explicitID,
            fallback: settings.fallbackID, directory: settings.dataDirectory,
            fresh: Incarnation(.random()))
    }

    private func record(_ record: MetadataRecord) throws {
        guard let log else { throw StartError.storage("the log is not open") }
        try log.recordNow([record])
    }
}

extension StartInventory {
    /// What the names in a data directory tell; nothing is there if the directory isn't.
    init(namesIn directory: String) throws {
        self.init(directory: directory)
        let databases = DatabaseDirectory(path: directory)
        guard try databases.isThere else { return }
        generations = try databases.generations()
        incoming = try databases.incomingFiles()
        segments = try LogInspection.segments(in: directory + "/log")
    }
}
