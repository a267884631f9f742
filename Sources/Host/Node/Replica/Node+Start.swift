import Chance
import Cluster
import Glibc
package import NIOCore
package import NodeLogic
import Raft
import Replication
import SQLite
import StateMachine
package import Telemetry
import Threads
import Transport
import Wire
import WriteAheadLog

/// Opens what the disk holds, decides how the node starts, and starts its threads, step by step.
extension Node {
    /// - Parameters:
    ///   - registry: needed if the plan names one.
    ///   - access: whom the node lets in.
    ///   - metrics: where its work is timed.
    ///   - prepare: called when the data directory is this process's and SQLite has its extensions and its
    ///     place for temporary files, before log and database are looked into or made.
    /// - Returns: a node that takes part in its cluster, or forms one by its plan.
    /// - Throws: `StartError` where the operator can do something about it. Nothing is made on the
    ///   disk before it is known that the data directory is empty or whole, and nothing but temporary
    ///   files is deleted before log and database were found to fit.
    package static func start(
        _ settings: MachineSettings, registry: (any RegistryAccess)? = nil,
        access: NodeAccess = NodeAccess(), group: any EventLoopGroup,
        metrics: MetricRegistry = MetricRegistry(), logger: Logger,
        prepare: () throws -> Void = {}
    ) throws -> Node {
        do {
            return try open(
                settings, registry: registry, access: access, group: group,
                timings: NodeTimings(metrics), logger: logger, prepare: prepare)
        } catch {
            guard let cause = StartError.lackOfRoom(error) else { throw error }
            throw StartError.noRoom(directory: settings.dataDirectory, cause: cause)
        }
    }

    private static func open(
        _ settings: MachineSettings, registry: (any RegistryAccess)?, access: NodeAccess,
        group: any EventLoopGroup, timings: NodeTimings, logger: Logger, prepare: () throws -> Void
    ) throws -> Node {
        if let problem = Engine.unfitness() { throw StartError.storage(problem) }
        var start = try DataDirectoryStart(settings)
        try makeDirectory(settings.dataDirectory)
        let lock = try DirectoryLock(settings.dataDirectory)
        // Once more: until it was locked, another process may have changed it.
        start = try DataDirectoryStart(settings)
        let engine = try engine(settings, logger)
        // What is prepared may need room there, which what an earlier start left may have taken.
        try start.directory.prepareTemporaryFiles()
        try prepare()
        if let peers = settings.peers { try recover(by: peers, settings, timings, logger) }
        let core = Mailbox<NodeEvent>()
        let board = StatusBoard()
        let open = OpenRequests()
        let snapshots = SnapshotFiles(directory: settings.dataDirectory)
        let directory = start.directory
        var readers: ReaderPool?
        let opened = try start.carryOut(
            core: core, bootID: try bootID(), timings: timings, logger: logger
        ) { generation in
            // Of a database that proved damaged.
            readers?.stop()
            let pool = ReaderPool(
                path: directory.file(of: generation), limits: readerLimits(settings),
                core: core, open: open, counters: timings.database)
            readers = pool
            return try ApplyThread.start(
                generation: generation,
                links: ApplyThread.Links(
                    core: core, directory: directory,
                    limits: ApplyKeeper.Limits(settings), open: open, snapshots: snapshots,
                    readers: pool, board: board, timings: timings, logger: logger))
        }
        guard let readers else { throw StartError.storage("the database was not opened") }
        let (log, apply, applied) = (opened.log, opened.apply, opened.database)
        let options = NodeOptions(
            identity: opened.identity, engine: engine, settings: settings,
            engineDifferences: { EngineFingerprint.differences(between: $0, and: $1) },
            otherExtensions: { EngineFingerprint.otherExtensions(between: $0, and: $1) })
        warn(of: applied, settings, logger)
        let transport = transport(settings, opened.identity, access, group)
        let links = MachineThread.Links(
            mailbox: core, log: log, apply: apply, readers: readers, transport: transport,
            forwarder: Forwarder(transport: transport, mailbox: core, open: open),
            registry: registry, access: access, open: open, questions: Questions(),
            snapshots: snapshots,
            ends: NodeEnds(), gate: ReadGate(), board: board, timings: timings,
            states: StateLog(logger), repeats: RepeatLog(logger), logger: logger)
        let beginning = try StartPlan.beginning(
            log: opened.state, database: StoredDatabase(applied),
            tail: log.tail(
                after: applied.position.index, holding: settings.raft.maxUncommittedBytes),
            plan: settings.plan,
            hasRegistry: registry != nil)
        let seed = Xoshiro256.seed()
        return try Node(
            options: options, beganInCluster: opened.state.cluster != nil, links: links, lock: lock
        ) {
            let machine = NodeMachine(options, chance: Xoshiro256(seed), now: .now)
            MachineThread(machine, links: links).run(beginning)
        }
    }

    private static func recover(
        by peers: PeersRecovery, _ settings: MachineSettings, _ timings: NodeTimings,
        _ logger: Logger
    ) throws {
        logger.announce("attempting node recovery using \(peers.path)")
        try ClusterRecovery.run(peers, in: settings.dataDirectory, bootID: bootID())
        timings.recoveries.add()
        logger.announce("node recovered successfully using \(peers.path)")
    }

    /// Reads that take long leave nobody behind them without a processor.
    private static func readerLimits(_ settings: MachineSettings) -> ReaderPool.Limits {
        ReaderPool.Limits(
            threads: settings.maxReaders, atWork: max(2, System.coreCount),
            spare: settings.spareReaders)
    }

    /// Loads the extensions that the operator named.
    /// - Returns: what nodes tell each other of the library and these.
    private static func engine(_ settings: MachineSettings, _ logger: Logger) throws -> String {
        try SQLExtensions.install(settings.extensionPaths, in: settings.dataDirectory)
        let extensions = SQLExtensions.current
        if !extensions.files.isEmpty {
            let names = extensions.files.map(\.name).joined(separator: ", ")
            logger.announce("loaded extensions: \(names)")
        }
        var engine = Engine.fingerprint
        engine.extensions = extensions.probes
        return engine.description
    }

    /// What was chosen when the cluster was formed does not change with a node's flags.
    private static func warn(
        of applied: AppliedState, _ settings: MachineSettings, _ logger: Logger
    ) {
        guard applied.cluster != nil, applied.settings.foreignKeys != settings.foreignKeys
        else { return }
        logger.warning(
            "-fk counts only when a cluster is formed; the cluster's own setting stays",
            [
                "fk.given": "\(settings.foreignKeys)",
                "fk.cluster": "\(applied.settings.foreignKeys)",
            ])
    }

    private static func transport(
        _ settings: MachineSettings, _ identity: NodeIdentity, _ access: NodeAccess,
        _ group: any EventLoopGroup
    ) -> PeerTransport {
        var limits = TransportLimits()
        // A longer wait would keep a healed link down: a lost SYN is repeated ever more rarely.
        limits.dialTimeout = min(limits.dialTimeout, .init(settings.connectTimeout))
        limits.maxConnections = settings.maxConnections
        limits.packsSnapshots = settings.packsSnapshots
        return PeerTransport(
            group: group, identity: identity, limits: limits, credential: access.credential,
            security: access.security, memory: KnownNames(in: settings.dataDirectory))
    }

    /// Makes the directory and those above it, each of them durably.
    private static func makeDirectory(_ path: String) throws(StartError) {
        do throws(DiskError) {
            try PosixDisk().makeDirectories(path)
        } catch {
            guard !error.isNoSpace else {
                throw .noRoom(directory: path, cause: error.reason)
            }
            throw .storage("can't make the data directory \(error.path): \(error.reason)")
        }
    }

    /// Names the time since the machine started.
    /// - Parameter path: of the kernel's file, which whoever runs a sandbox may have put another in place of.
    static func bootID(
        in path: String = "/proc/sys/kernel/random/boot_id"
    ) throws(StartError) -> RandomID {
        guard let file = fopen(path, "re") else { throw .storage("can't read \(path)") }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 64)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else {
            throw .storage("can't read \(path)")
        }
        let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let id = RandomID(text.filter(\.isHexDigit)) else {
            throw .storage("\(path) holds no boot ID")
        }
        return id
    }
}

extension StartError {
    /// The cause, if what failed is a disk without room.
    fileprivate static func lackOfRoom(_ error: any Error) -> String? {
        switch error {
        case LogError.diskFull(let cause): "\(cause)"
        case let error as LogError:
            if case .syncFailed(let cause) = error, cause.isNoSpace { "\(cause)" } else { nil }
        case let error as DirectoryError where error.isDiskFull: "\(error)"
        case ApplyFault.diskFull: "the database has no room"
        case let error as DiskError where error.isNoSpace: "\(error)"
        default: nil
        }
    }
}

extension StoredDatabase {
    /// What a start looks at of an opened database.
    init(_ state: AppliedState) {
        self.init(
            position: state.position, cluster: state.cluster, membership: state.membership,
            membershipIndex: state.membershipIndex)
        skips = state.skips
        decided = state.decided
        isTraced = state.trace != nil
    }
}

extension Xoshiro256 {
    /// From the system's entropy.
    static func seed() -> (UInt64, UInt64, UInt64, UInt64) {
        func bits() -> UInt64 { .random(in: .min ... .max) }
        return (bits(), bits(), bits(), bits() | 1)
    }
}

extension RandomID {
    /// From the system's entropy.
    static func random() -> RandomID {
        RandomID(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
    }
}
