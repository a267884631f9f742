import Archive
import JSON
import NodeLogic
import ObjectStorage
import Raft
import Replica
import Settings
import Synchronization
import Telemetry
import Threads
import Time

/// `log_interval` of `-auto-backup`: while this node leads, puts what is written into the archive beside the
/// copies, on a thread of its own. `ArchiveSchedule` says when.
final class ArchiveService: Sendable {
    /// What `/status` shows.
    private struct Shown {
        var end: ArchiveEnd?
        var lastUpload = WallTime.never
    }

    private struct Counters: Sendable {
        let bases: Counter
        let pieces: Counter
        let failed: Counter
        let gaps: Counter
        let bytes: Counter
        /// Of the last entry that is there.
        let lastIndex: Gauge
        /// When the last object was stored, seconds since 1970.
        let lastTime: Gauge

        init(_ metrics: MetricRegistry) {
            bases = metrics.counter(ArchiveService.module, "num_bases")
            pieces = metrics.counter(ArchiveService.module, "num_pieces")
            failed = metrics.counter(ArchiveService.module, "num_failed")
            gaps = metrics.counter(ArchiveService.module, "num_gaps")
            bytes = metrics.counter(ArchiveService.module, "upload_bytes")
            lastIndex = metrics.gauge(ArchiveService.module, "last_index")
            lastTime = metrics.gauge(ArchiveService.module, "last_upload_time")
        }
    }

    static let module = "archive"

    private let settings: AutoBackupSettings
    private let interval: Duration
    private let mostBehind: Int
    private let store: ArchiveAccess
    private let node: Node
    private let directory: String
    /// Where copies take turns.
    private let room: CopyRoom
    private let counters: Counters
    private let logger: Logger
    /// At its stop an upload that is under way is broken off.
    let worker = ServiceThread()
    private let shown = Mutex(Shown())
    private let recentFault: RecentFault
    /// A restore is still to come: what is there now is not to be kept.
    private let isHeld: @Sendable () -> Bool

    /// Entries of one piece, roughly; one at least, however large.
    private static let pieceBytes = 8 << 20
    private static let readTime = Duration.seconds(60)

    /// - Parameters:
    ///   - interval: between pieces.
    ///   - mostBehind: entries with which the interval is not waited for.
    ///   - directory: of temporary files.
    init(
        _ settings: AutoBackupSettings, every interval: Duration, mostBehind: Int,
        place: any StoragePlace, node: Node, directory: String, room: CopyRoom,
        metrics: MetricRegistry, logger: Logger, isHeld: @escaping @Sendable () -> Bool
    ) {
        self.room = room
        self.mostBehind = mostBehind
        self.settings = settings
        self.interval = interval
        store = ArchiveAccess(place, worker.flag)
        self.node = node
        self.directory = directory
        self.logger = logger
        recentFault = RecentFault(logger)
        self.isHeld = isHeld
        counters = Counters(metrics)
    }

    /// - Throws: `ThreadShortage`.
    func start() throws {
        logger.announce(
            "archiving the log beside \(store.place.name) every \(interval.goText)")
        try worker.start("log-archive") { self.run() }
    }

    /// Where the archive ends, as far as this node as leader put it there.
    func status() -> JSONValue {
        let shown = shown.withLock { $0 }
        return .object([
            .init("destination", .string(store.place.name)),
            .init("interval", .string(interval.goText)),
            .init("base_index", .integer(shown.end?.base.position.index.rawValue ?? 0)),
            .init("last_index", .integer(shown.end?.position.index.rawValue ?? 0)),
            .init(
                "last_log_time",
                shown.end.map { .string(ArchivePlan.text($0.clock.milliseconds)) } ?? .null),
            .init("last_upload_time", .string(shown.lastUpload.wholeSeconds.rfc3339)),
            .init("last_error", recentFault.json),
        ])
    }

    // MARK: The thread

    private func run() {
        var schedule = ArchiveSchedule(
            interval: interval, fullInterval: settings.logFullInterval, mostBehind: mostBehind)
        while !worker.isStopped {
            let status = node.status
            let leads = status.role == .leader && status.isReady && !isHeld()
            let leadership = leads && status.cluster != nil ? status.term : nil
            let step = schedule.step(
                at: .now, leadership: leadership?.rawValue, index: status.appliedIndex)
            if leadership != nil { node.keepLog(behind: schedule.needs(at: status.appliedIndex)) }
            do throws(StorageFault) {
                switch step {
                case .rest(let deadline): worker.rest(until: deadline)
                case .survey: try survey(&schedule, status.cluster)
                case .base(let end, let mustProve):
                    try putBase(&schedule, behind: end, mustProve, status)
                case .piece(let end, let mustProve):
                    try putPiece(&schedule, behind: end, mustProve, status)
                }
            } catch {
                schedule.failed(at: .now)
                note(error)
            }
        }
    }

    private func survey(
        _ schedule: inout ArchiveSchedule, _ cluster: ClusterID?
    ) throws(StorageFault) {
        guard let cluster else { return schedule.passed(at: .now) }
        let end: ArchiveEnd?
        do throws(StorageFault) {
            end = try store.end(of: cluster)
        } catch {
            // What is there and can't be used is left alone; a new base needs nothing of it.
            guard !error.isTransient else { throw error }
            logger.warning("the archive can't be gone on with", ["cause": error.description])
            end = nil
        }
        // A base from before there was a clock has no age that anybody knows.
        let age = end.map { end in
            end.base.milliseconds == 0
                ? 0 : WallTime.now().milliseconds &- end.base.milliseconds
        }
        schedule.surveyed(end, age: .milliseconds(age ?? 0), at: .now)
    }

    private func putBase(
        _ schedule: inout ArchiveSchedule, behind end: ArchiveEnd?, _ mustProve: Bool,
        _ status: NodeStatus
    ) throws(StorageFault) {
        let taker = ArchiveBaseTaker(
            node: NodeEnquiry(node), directory: directory, term: status.term)
        var looks = 0
        // Who can go on with pieces does not wait for another's copy, which may be vacuumed for hours.
        let mayWait: () -> Bool = {
            looks += 1
            return !self.worker.isStopped && (end == nil || looks == 1)
        }
        let gathered = try room.turn(while: mayWait) { () throws(StorageFault) in
            try taker.take(while: { !worker.isStopped })
        }
        guard let base = gathered, base.cluster == status.cluster else {
            return try postponeBase(&schedule, behind: end, mustProve, status)
        }
        // First the way there: who ends in between leaves no hole.
        var way = end
        var mustProve = mustProve
        while let behind = way, behind.position.index < base.name.position.index {
            let shipment = try ship(
                behind: behind, mustProve, through: base.name.position.index, base.cluster,
                status.term)
            if case .piece(let end) = shipment { way = end }
            if shipment == .gap { way = nil }
            mustProve = false
        }
        // What is written while it goes there must be in the log when it is there.
        node.keepLog(behind: base.name.position.index.previous)
        try store.put(base.file, as: base.name, of: base.cluster)
        schedule.begun(base.name, at: .now)
        counters.bases.add()
        stored(ArchiveEnd(of: base.name), base.file.byteCount)
        logger.info(
            "archived the whole database",
            [
                "to": store.place.name, "index": base.name.position.index,
                "size": ByteSize(bytes: base.file.byteCount),
            ])
    }

    /// There is no base now: pieces go on behind the one before, until it is tried again.
    private func postponeBase(
        _ schedule: inout ArchiveSchedule, behind end: ArchiveEnd?, _ mustProve: Bool,
        _ status: NodeStatus
    ) throws(StorageFault) {
        guard let end else { return schedule.passed(at: .now) }
        guard end.position.index < status.appliedIndex else { return schedule.postponed(at: .now) }
        try putPiece(&schedule, behind: end, mustProve, status)
    }

    private func putPiece(
        _ schedule: inout ArchiveSchedule, behind end: ArchiveEnd, _ mustProve: Bool,
        _ status: NodeStatus
    ) throws(StorageFault) {
        guard let cluster = status.cluster else { return schedule.passed(at: .now) }
        let index = status.appliedIndex
        switch try ship(behind: end, mustProve, through: index, cluster, status.term) {
        case .piece(let end):
            schedule.shipped(end, isBehind: end.position.index < index, at: .now)
        case .proved: schedule.proved()
        case .gap: schedule.broke()
        }
    }

    private enum Shipment: Equatable {
        /// A piece is there now.
        case piece(ArchiveEnd)
        /// The log goes on from the end; no more was read with it.
        case proved
        /// It does not.
        case gap
    }

    /// One piece.
    /// - Parameter last: of the entries that go; behind the end.
    private func ship(
        behind end: ArchiveEnd, _ mustProve: Bool, through last: LogIndex, _ cluster: ClusterID,
        _ term: Term
    ) throws(StorageFault) -> Shipment {
        let first = mustProve ? end.position.index : end.position.index.next
        let found = node.appliedEntries(
            from: first, byteLimit: Self.pieceBytes, until: .now + Self.readTime)
        guard var entries = found?.filter({ $0.index <= last }) else {
            throw StorageFault("the log can't be read now", isTransient: true)
        }
        if mustProve, let entry = entries.first, try end.isLast(entry) {
            entries.removeFirst()
            if entries.isEmpty { return .proved }
        } else if mustProve || entries.isEmpty {
            counters.gaps.add()
            logger.info(
                "the log doesn't go on from the archive's end: a whole database follows",
                ["end": end.position])
            return .gap
        }
        let piece = try ArchivePiece(
            entries, behind: end, cluster: cluster, term: term, in: directory)
        try store.put(piece, of: cluster)
        counters.pieces.add()
        stored(piece.end, piece.file.byteCount)
        return .piece(piece.end)
    }

    private func stored(_ end: ArchiveEnd, _ size: Int64) {
        let now = WallTime.now()
        counters.bytes.add(Int(size))
        counters.lastIndex.set(Int(clamping: end.position.index.rawValue))
        counters.lastTime.set(Int(now.seconds))
        shown.withLock {
            $0.end = end
            $0.lastUpload = now
        }
        recentFault.clear()
    }

    private func note(_ fault: StorageFault) {
        guard !worker.isStopped else { return }
        counters.failed.add()
        recentFault.note(fault, "failed to archive the log")
    }
}
