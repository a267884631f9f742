import Archive
import JSON
import NodeLogic
import ObjectStorage
import Raft
import Replica
import Settings
import StateMachine
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
        let failedBases: Counter
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
            failedBases = metrics.counter(ArchiveService.module, "num_failed_bases")
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
    private let counters: Counters
    private let logger: Logger
    /// At its stop an upload that is under way is broken off.
    let worker = ServiceThread()
    /// Makes the bases.
    let base: ArchiveBaseWork
    private let shown = Mutex(Shown())
    private let recentFault: RecentFault
    private let recentBaseFault: RecentFault
    /// Behind which base all is said of this program: another look would be a listing of all that is behind it.
    private let noted = Mutex<BaseName?>(nil)
    /// A restore is still to come: what is there now is not to be kept.
    private let isHeld: @Sendable () -> Bool

    /// Entries of one piece, roughly; one at least, however large.
    private static let pieceBytes = 8 << 20
    private static let readTime = Duration.seconds(60)

    /// - Parameters:
    ///   - interval: between pieces.
    ///   - mostBehind: entries with which the interval is not waited for.
    ///   - directory: of temporary files.
    ///   - room: where copies take turns.
    init(
        _ settings: AutoBackupSettings, every interval: Duration, mostBehind: Int,
        place: any StoragePlace, node: Node, directory: String, room: CopyRoom,
        metrics: MetricRegistry, logger: Logger, isHeld: @escaping @Sendable () -> Bool
    ) {
        let worker = worker
        base = ArchiveBaseWork(place, node: node, directory: directory, room: room) {
            worker.wake()
        }
        self.mostBehind = mostBehind
        self.settings = settings
        self.interval = interval
        store = ArchiveAccess(place, worker.flag)
        self.node = node
        self.directory = directory
        self.logger = logger
        recentFault = RecentFault(logger)
        recentBaseFault = RecentFault(logger)
        self.isHeld = isHeld
        counters = Counters(metrics)
    }

    /// - Throws: `ThreadShortage`.
    func start() throws {
        logger.announce(
            "archiving the log beside \(store.place.name) every \(interval.goText)")
        try base.start()
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
            .init(
                "last_error",
                recentFault.json == .null ? recentBaseFault.json : recentFault.json),
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
            attend(&schedule, status, leadership)
            let step = schedule.step(
                at: .now, leadership: leadership?.rawValue, index: status.appliedIndex)
            if leadership != nil {
                let needs = schedule.needs(at: status.appliedIndex)
                // A base that takes too long must not cost the pieces what they go on with.
                let behindBase = schedule.ahead?.position.index.previous ?? base.needs
                let wish = min(schedule.wishes ?? needs, behindBase ?? needs)
                node.keepLog(behind: needs, wishing: wish)
            }
            trying(&schedule) { schedule throws(StorageFault) in
                switch step {
                case .rest(let deadline):
                    // Where nothing is written no piece tells that it goes well again.
                    if schedule.isComplete(at: status.appliedIndex) { recentFault.clear() }
                    let isDue =
                        schedule.pieceAhead(at: .now, index: status.appliedIndex) != nil
                    if !isDue { worker.rest(until: deadline) }
                case .survey: try survey(&schedule, status.cluster)
                case .base(let end, let mustProve):
                    base.begin(in: status.term, at: status.appliedIndex)
                    try goOn(&schedule, behind: end, mustProve, status)
                case .piece(let end, let mustProve):
                    try putPiece(&schedule, behind: end, mustProve, status)
                }
            }
            if leadership != nil, !worker.isStopped {
                trying(&schedule) { schedule throws(StorageFault) in
                    try putAhead(&schedule, status)
                }
            }
        }
    }

    private func trying(
        _ schedule: inout ArchiveSchedule,
        _ body: (inout ArchiveSchedule) throws(StorageFault) -> Void
    ) {
        do throws(StorageFault) {
            try body(&schedule)
        } catch {
            schedule.failed(at: .now)
            note(error, recentFault, counters.failed)
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
            // What is there and can't be used is left alone; a new base needs nothing of it. What was not seen may be whole:
            // begun anew, the archive would lack what leads to the base, and the log would let go of it.
            guard !error.isTransient, !error.isUnseen else { throw error }
            logger.warning("the archive can't be gone on with", ["cause": error.description])
            end = nil
        }
        // Who led before may have had others.
        if let end { try noteSoftware(behind: end.base, cluster) }
        // A base from before there was a clock has no age that anybody knows.
        let age = end.map { end in
            end.base.milliseconds == 0
                ? 0 : WallTime.now().milliseconds &- end.base.milliseconds
        }
        schedule.surveyed(end, age: .milliseconds(age ?? 0), at: .now)
    }

    /// - Parameter isThere: the base has come. Before it go the extensions alone, without which nobody may restore: each that
    ///   fails on its way leaves the folder that they are in.
    private func noteSoftware(
        behind base: BaseName, _ cluster: ClusterID, isThere: Bool = true
    ) throws(StorageFault) {
        guard noted.withLock({ $0 != base }) else { return }
        try store.note(
            extensions: SQLExtensions.current.files.map { (name: $0.name, hash: $0.hash) },
            engine: isThere ? node.options.engine : nil, behind: base, of: cluster, in: directory)
        if isThere { noted.withLock { $0 = base } }
    }

    // MARK: Bases

    /// Looks after the base that is on its way.
    private func attend(
        _ schedule: inout ArchiveSchedule, _ status: NodeStatus, _ leadership: Term?
    ) {
        if let prepared = base.prepared, prepared.term == leadership {
            trying(&schedule) { schedule throws(StorageFault) in
                guard try lead(to: prepared, &schedule, status) else { return }
                try noteSoftware(behind: prepared.name, prepared.cluster, isThere: false)
                base.storePrepared()
                schedule.sends(prepared.name, at: .now)
            }
        }
        switch base.takeOutcome() {
        case nil: break
        case .dropped: schedule.forgetAhead()
        case .failed(let fault):
            schedule.forgetAhead()
            schedule.baseFailed(at: .now)
            note(fault, recentBaseFault, counters.failedBases)
        case .stored(let base, let size):
            counters.bases.add()
            uploaded(size)
            recentBaseFault.clear()
            logger.info(
                "archived the whole database",
                [
                    "to": store.place.name, "index": base.name.position.index,
                    "size": ByteSize(bytes: size),
                ])
            let isOwn = base.term == leadership
            if leadership != nil, isOwn || isNewer(base, than: schedule, status) {
                goOn(&schedule, behind: base.name, status)
                trying(&schedule) { _ throws(StorageFault) in
                    try noteSoftware(behind: base.name, base.cluster)
                }
            }
        }
    }

    /// One of an earlier leadership of this node, in whose log all is that was committed then.
    private func isNewer(
        _ base: ArchiveBaseWork.Prepared, than schedule: ArchiveSchedule, _ status: NodeStatus
    ) -> Bool {
        guard schedule.hasSurveyed, base.cluster == status.cluster, let end = schedule.end else {
            return false
        }
        return end.base.position.index < base.name.position.index
    }

    /// First the way there: who ends in between leaves no hole.
    /// - Returns: whether all of it is there that the log has.
    private func lead(
        to base: ArchiveBaseWork.Prepared, _ schedule: inout ArchiveSchedule, _ status: NodeStatus
    ) throws(StorageFault) -> Bool {
        guard schedule.hasSurveyed else { return false }
        while let end = schedule.end, end.position.index < base.name.position.index {
            switch try ship(
                behind: end, schedule.mustProve, through: base.name.position.index, base.cluster,
                status.term)
            {
            case .piece(let end): schedule.shipped(end, isBehind: true, at: .now)
            case .proved: schedule.proved()
            case .gap: schedule.broke()
            }
        }
        return true
    }

    private func goOn(
        _ schedule: inout ArchiveSchedule, behind base: BaseName, _ status: NodeStatus
    ) {
        let ahead = schedule.ahead.flatMap { $0.base == base ? $0 : nil }
        let start = ahead?.position.index ?? base.position.index
        var isFollowed = true
        if start < status.appliedIndex {
            let found = node.appliedEntries(
                from: start.next, byteLimit: 1, until: .now + Self.readTime)
            isFollowed = found?.isEmpty == false
        }
        schedule.begun(base, isFollowed: isFollowed, at: .now)
        if let end = schedule.end, end.base == base {
            shown.withLock { $0.end = end }
            counters.lastIndex.set(Int(clamping: end.position.index.rawValue))
        } else {
            logger.warning(
                "the log doesn't go on from the whole database, which took long: pieces follow the one before",
                ["index": base.position.index])
        }
    }

    /// A base is on its way: pieces go on behind the one before.
    private func goOn(
        _ schedule: inout ArchiveSchedule, behind end: ArchiveEnd?, _ mustProve: Bool,
        _ status: NodeStatus
    ) throws(StorageFault) {
        guard let end, end.position.index < status.appliedIndex else {
            return schedule.postponed(at: .now)
        }
        try putPiece(&schedule, behind: end, mustProve, status)
    }

    // MARK: Pieces

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
        var entries = try entries(from: first, through: last)
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
        let next = try put(entries, behind: end, cluster, term)
        counters.lastIndex.set(Int(clamping: next.position.index.rawValue))
        shown.withLock { $0.end = next }
        return .piece(next)
    }

    /// The same once more behind a base that is on its way: one that takes long would have nothing behind it.
    private func putAhead(
        _ schedule: inout ArchiveSchedule, _ status: NodeStatus
    ) throws(StorageFault) {
        guard let cluster = status.cluster,
            let (end, last) = schedule.pieceAhead(at: .now, index: status.appliedIndex)
        else { return }
        let entries = try entries(from: end.position.index.next, through: last)
        guard !entries.isEmpty else { return schedule.forgetAhead() }
        let next = try put(entries, behind: end, cluster, status.term)
        schedule.shippedAhead(next, isBehind: next.position.index < last, at: .now)
    }

    /// What a piece has room for.
    private func entries(
        from first: LogIndex, through last: LogIndex
    ) throws(StorageFault) -> [Entry] {
        let found = node.appliedEntries(
            from: first, byteLimit: Self.pieceBytes, until: .now + Self.readTime)
        guard let found else { throw StorageFault("the log can't be read now", isTransient: true) }
        return found.filter { $0.index <= last }
    }

    /// - Returns: where the archive ends with it.
    private func put(
        _ entries: [Entry], behind end: ArchiveEnd, _ cluster: ClusterID, _ term: Term
    ) throws(StorageFault) -> ArchiveEnd {
        let piece = try ArchivePiece(
            entries, behind: end, cluster: cluster, term: term, in: directory)
        try store.put(piece, of: cluster)
        counters.pieces.add()
        uploaded(piece.file.byteCount)
        recentFault.clear()
        return piece.end
    }

    private func uploaded(_ size: Int64) {
        let now = WallTime.now()
        worker.goesOn()
        counters.bytes.add(Int(size))
        counters.lastTime.set(Int(now.seconds))
        shown.withLock { $0.lastUpload = now }
    }

    private func note(_ fault: StorageFault, _ place: RecentFault, _ counter: Counter) {
        guard !worker.isStopped else { return }
        counter.add()
        place.note(fault, "failed to archive the log")
    }
}
