import HTTPAPI
import JSON
import ObjectStorage
import Replica
import Service
import Settings
import Telemetry
import Threads
import Time
import Wire

/// `-auto-backup`, `-auto-restore` and what is done to the database from time to time: read and judged before anything is touched, downloaded before the
/// node starts, at work as long as it runs.
struct Safekeeping {
    private let backupSettings: AutoBackupSettings?
    private let backupPlace: (any StoragePlace)?
    private let restoreFile: RestoreFile?
    private let restoreCounters: RestoreCounters
    private let metrics: MetricRegistry
    private let logger: Logger
    private let directory: String
    private let upkeepSettings: NodeSettings.Upkeep
    /// What each node's log keeps.
    private let trailingEntries: Int
    private var content: RestoreContent?
    /// Not the one of clients: what they load must not be in the way of a restore.
    private let loads: LoadDesk
    private(set) var backup: BackupService?
    private(set) var restore: RestoreService?
    private(set) var upkeep: UpkeepService?
    private(set) var archive: ArchiveService?
    private var loadWatch: LoadWatchService?

    /// Longer than an upload takes to be taken back.
    private static let stopTime = Duration.seconds(6)

    /// Reads the files; touches nothing.
    init(
        _ settings: NodeSettings, metrics: MetricRegistry, logger: Logger
    ) throws(Daemon.StartFailure) {
        let chosen = settings.safekeeping
        self.metrics = metrics
        self.logger = logger
        directory = settings.dataDirectory
        loads = LoadDesk(directory: settings.dataDirectory)
        upkeepSettings = settings.upkeep
        trailingEntries = settings.checkpoint.trailingEntries
        let counters = RestoreCounters(metrics)
        restoreCounters = counters
        backupSettings = try Self.read(chosen.backup, "-auto-backup") { text throws(StorageFault) in
            try AutoBackupSettings(parsing: text, environment: Environment.value)
        }
        let restoring = try Self.read(chosen.restore, "-auto-restore") {
            text throws(StorageFault) in
            try AutoRestoreSettings(parsing: text, environment: Environment.value)
        }
        do throws(StorageFault) {
            if backupSettings != nil || restoring != nil { try StorageLibraries.require() }
            backupPlace = try backupSettings?.destination.place(
                hasTimestamp: backupSettings?.hasTimestamp ?? false,
                notes: UploadNotes(directory: "\(settings.dataDirectory)/uploads"),
                environment: Environment.value)
            restoreFile = try restoring.map { restoring throws(StorageFault) in
                RestoreFile(
                    restoring,
                    place: try restoring.source.place(environment: Environment.value),
                    directory: settings.dataDirectory, counters: counters,
                    logger: logger.named("auto-restore"))
            }
        } catch {
            throw Daemon.StartFailure(description: "\(error)")
        }
    }

    /// The variables of the environment that keys of storages come from: those that the files name, and
    /// those that are looked at where files have none.
    static func secrets(_ settings: NodeSettings) throws(Daemon.StartFailure) -> Set<String> {
        var names: Set<String> = []
        for file in [settings.safekeeping.backup, settings.safekeeping.restore] {
            guard let file else { continue }
            names.formUnion(StorageSettings.variables(in: try SmallFile.read(file)))
        }
        return names
    }

    private static func read<Value>(
        _ path: String?, _ flag: String, _ parse: ([UInt8]) throws(StorageFault) -> Value
    ) throws(Daemon.StartFailure) -> Value? {
        guard let path else { return nil }
        let text = try SmallFile.read(path)
        do throws(StorageFault) {
            return try parse(text)
        } catch {
            throw Daemon.StartFailure(description: "\(flag) \(path): \(error)")
        }
    }

    /// Downloads what is to be restored, and checks it, before the node has a log or a database. Nobody
    /// else may be at the data directory, and what the file's schema calls must be there.
    mutating func prepare() throws(Daemon.StartFailure) {
        RestoreFile.removeUnfinished(in: directory)
        content = try restoreFile?.prepare(loads)
    }

    /// The node has started.
    /// - Returns: the node as clients are to see it.
    mutating func attach(_ node: Node) -> any NodeService {
        if let content, let restoreFile {
            restore = RestoreService(
                content, restoreFile, loads, node: node, counters: restoreCounters,
                logger: logger.named("auto-restore"))
        }
        content = nil
        let restore = restore
        if let backupSettings, let backupPlace {
            let room = CopyRoom()
            backup = BackupService(
                backupSettings, place: backupPlace, node: node, directory: "\(directory)/tmp",
                room: room, metrics: metrics, logger: logger.named("uploader"),
                isHeld: { restore?.isPending ?? false })
            archive = backupSettings.logInterval.map { interval in
                ArchiveService(
                    backupSettings, every: interval, mostBehind: max(1, trailingEntries / 2),
                    place: backupPlace, node: node, directory: "\(directory)/tmp", room: room,
                    metrics: metrics, logger: logger.named("archive"),
                    isHeld: { restore?.isPending ?? false })
            }
        }
        if upkeepSettings.vacuum != nil || upkeepSettings.optimize != nil {
            upkeep = UpkeepService(
                upkeepSettings, node: node, metrics: metrics, logger: logger.named("store"),
                isHeld: { restore?.isPending ?? false })
        }
        loadWatch = LoadWatchService(node, logger: logger.named("store"))
        guard let restore else { return node }
        return RestoreGate(node: node, restore: restore)
    }

    /// - Throws: `ThreadShortage`.
    func start() throws {
        try restore?.start()
        try backup?.start()
        try archive?.start()
        try upkeep?.start()
        try loadWatch?.start()
    }

    /// All of them together: what hangs at a disk or a file server must not keep the node from stopping.
    func stop() {
        let workers: [(name: String, worker: ServiceThread?)] = [
            ("auto-restore", restore?.worker), ("auto-backup", backup?.worker),
            ("log-archive", archive?.worker), ("archive-base", archive?.base.worker),
            ("upkeep", upkeep?.worker), ("load-watch", loadWatch?.worker),
        ]
        for (_, worker) in workers { worker?.beginStop() }
        let deadline = MonotonicTime.now + Self.stopTime
        for (name, worker) in workers where worker?.awaitEnd(until: deadline) == false {
            logger.warning("work that does not end is left behind", ["what": name])
        }
    }
}
