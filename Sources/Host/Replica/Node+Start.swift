import Cluster
import Glibc
package import NIOCore
package import NodeMachine
import Raft
import Replication
import SQLite
import StateMachine
package import Telemetry
import Transport
import WriteAheadLog

/// Opens what the disk holds, decides how the node starts, and starts its threads, step by step.
extension Node {
    /// - Parameter registry: needed if the plan names one.
    /// - Returns: a node that takes part in its cluster, or forms one by its plan.
    package static func start(
        _ configuration: NodeConfiguration, registry: (any RegistryAccess)? = nil,
        group: any EventLoopGroup, logger: Logger
    ) throws -> Node {
        if let problem = Engine.unfitness() { throw StartError.storage(problem) }
        try makeDirectory(configuration.dataDirectory)
        let lock = try DirectoryLock(configuration.dataDirectory)
        if let peers = configuration.peers {
            logger.announce("attempting node recovery using \(peers.path)")
            try ClusterRecovery.run(peers, in: configuration.dataDirectory, bootID: bootID())
            logger.announce("node recovered successfully using \(peers.path)")
        }
        let core = Mailbox<NodeEvent>()
        let (log, opened) = try openLog(configuration, core, logger)
        let identity = try StartPlan.identity(
            stored: opened.identity, explicit: configuration.explicitID,
            fallback: configuration.fallbackID, directory: configuration.dataDirectory,
            fresh: Incarnation(.random()))
        logger.announce("opening store with node ID \(identity.id)")
        let options = NodeOptions(
            identity: identity, engine: Engine.sourceID, configuration: configuration)
        let directory = try openDirectory(configuration, opened, log, identity)
        let generation = max(.first, Generation(opened.generation))
        let board = StatusBoard()
        let open = OpenRequests()
        let snapshots = SnapshotFiles(directory: configuration.dataDirectory)
        let readers = ReaderPool(
            path: directory.file(of: generation), limit: configuration.maxReaders,
            core: core, open: open)
        let (apply, applied) = try ApplyThread.start(
            generation: generation,
            links: ApplyThread.Links(
                core: core, directory: directory,
                checkpointBytes: Int64(configuration.checkpointBytes),
                checkpointEntries: configuration.replication.compactionThreshold,
                checkpointInterval: configuration.checkpointInterval, open: open,
                snapshots: snapshots, holdBytes: Int64(configuration.snapshotHoldBytes),
                readers: readers, board: board, logger: logger))
        let restored = try StartPlan.restored(
            log: opened, database: applied, tail: log.tail(after: applied.position.index))
        var limits = TransportLimits()
        // A longer wait would keep a healed link down: a lost SYN is repeated ever more rarely.
        limits.dialTimeout = min(limits.dialTimeout, .init(configuration.connectTimeout))
        let transport = Transport(group: group, identity: identity, limits: limits)
        let links = MachineThread.Links(
            mailbox: core, log: log, apply: apply, readers: readers, transport: transport,
            forwarder: Forwarder(transport: transport, mailbox: core, open: open),
            registry: registry, open: open, questions: Questions(), snapshots: snapshots,
            ends: NodeEnds(), gate: ReadGate(), board: board, logger: logger)
        let beginning = NodeMachine.Beginning(
            restored: restored, cluster: opened.cluster, isEstablished: applied.cluster != nil,
            formation: try StartPlan.formation(log: opened, plan: configuration.plan),
            hasRegistry: registry != nil)
        let seed = Chance.seed()
        return Node(
            options: options, beganInCluster: opened.cluster != nil, links: links, lock: lock
        ) {
            let machine = NodeMachine(options, chance: Chance(seed), now: .now)
            MachineThread(machine, links: links).run(beginning)
        }
    }

    private static func makeDirectory(_ path: String) throws(StartError) {
        var partial = ""
        for part in path.split(separator: "/") {
            partial += "/" + part
            guard mkdir(partial, 0o755) == 0 || errno == EEXIST else {
                let cause = String(cString: strerror(errno))
                throw .storage("can't make the data directory \(partial): \(cause)")
            }
        }
    }

    private static func openLog(
        _ configuration: NodeConfiguration, _ core: Mailbox<NodeEvent>, _ logger: Logger
    ) throws -> (LogThread, LogState) {
        let directory = configuration.dataDirectory + "/log"
        let (log, opened) = try LogThread.start(
            directory: directory, bootID: try bootID(), core: core)
        if let torn = opened.torn { logger.warning("log recovered", ["detail": torn]) }
        guard !opened.state.mustCatchUpBeforeVoting else {
            throw StartError.logDamaged(
                "the end of the log in \(directory) is damaged although the machine did not "
                    + "restart. To rejoin: remove the node from the cluster (DELETE /remove), move "
                    + "its data directory away and start it with an empty one")
        }
        logger.announce(
            opened.state.identity == nil
                ? "no preexisting node state detected in \(configuration.dataDirectory), "
                    + "node may be bootstrapping"
                : "preexisting node state detected in \(configuration.dataDirectory)")
        return (log, opened.state)
    }

    /// Names the time since the machine started.
    static func bootID() throws(StartError) -> RandomID {
        let path = "/proc/sys/kernel/random/boot_id"
        guard let file = fopen(path, "re") else { throw .storage("can't read \(path)") }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 64)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else {
            throw .storage("can't read \(path)")
        }
        let digits = buffer.prefix { $0 != 0 }.map { Character(UnicodeScalar(UInt8($0))) }
            .filter(\.isHexDigit)
        guard let id = RandomID(String(digits)) else {
            throw .storage("\(path) holds no boot ID")
        }
        return id
    }

    /// Makes the first database and the node's identity durable, or finds them; files of other
    /// generations are remains of an interrupted change.
    private static func openDirectory(
        _ configuration: NodeConfiguration, _ log: LogState, _ thread: LogThread,
        _ identity: NodeIdentity
    ) throws -> DatabaseDirectory {
        let directory = DatabaseDirectory(path: configuration.dataDirectory)
        if log.identity == nil {
            try directory.create(.first)
            try thread.recordNow([.identity(identity), .generation(Generation.first.rawValue)])
        } else {
            try directory.removeAll(except: max(.first, Generation(log.generation)))
        }
        return directory
    }
}

extension Chance {
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
