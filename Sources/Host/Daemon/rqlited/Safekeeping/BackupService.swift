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

/// `-auto-backup`: while this node leads, puts copies of the database where the configuration says, on a
/// thread of its own. `UploadSchedule` says when.
final class BackupService: Sendable {
    /// What `/status` shows.
    private struct Shown {
        var lastUpload = WallTime.never
        var lastDuration = Duration.zero
        var lastIndex: UInt64 = 0
    }

    private struct Counters: Sendable {
        let succeeded: Counter
        let failed: Counter
        let skipped: Counter
        let skippedByMarker: Counter
        let unreadMarkers: Counter
        let bytes: Counter
        let lastBytes: Gauge
        let lastTime: Gauge
        /// Looks whether there is something to upload; copies that were gathered, and that could not be.
        let checks: Counter
        let copies: Counter
        let failedCopies: Counter

        init(_ metrics: MetricRegistry) {
            checks = metrics.counter("store", "num_provider_checks")
            copies = metrics.counter("store", "num_provider_provides")
            failedCopies = metrics.counter("store", "num_provider_provides_fail")
            succeeded = metrics.counter(BackupService.module, "num_uploads_ok")
            failed = metrics.counter(BackupService.module, "num_uploads_fail")
            skipped = metrics.counter(BackupService.module, "num_uploads_skipped")
            skippedByMarker = metrics.counter(BackupService.module, "num_uploads_skipped_id")
            unreadMarkers = metrics.counter(BackupService.module, "num_sum_get_fail")
            bytes = metrics.counter(BackupService.module, "total_upload_bytes")
            lastBytes = metrics.gauge(BackupService.module, "last_upload_bytes")
            lastTime = metrics.gauge(BackupService.module, "last_upload_time")
        }
    }

    /// rqlite's name.
    static let module = "uploader"

    private let settings: AutoBackupSettings
    private let place: any StoragePlace
    private let node: Node
    private let directory: String
    /// Where copies take turns.
    private let room: CopyRoom
    private let counters: Counters
    private let logger: Logger
    /// At its stop an upload that is under way is broken off; what lies at its place lies there still.
    let worker = ServiceThread()
    private let shown = Mutex(Shown())
    private let recentFault: RecentFault
    /// A restore is still to come: what is there now is not to be kept.
    private let isHeld: @Sendable () -> Bool

    /// - Parameter directory: of temporary files.
    init(
        _ settings: AutoBackupSettings, place: any StoragePlace, node: Node, directory: String,
        room: CopyRoom, metrics: MetricRegistry, logger: Logger,
        isHeld: @escaping @Sendable () -> Bool
    ) {
        self.room = room
        self.settings = settings
        self.place = place
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
            "starting upload to \(place.name) every \(settings.interval.goText)")
        try worker.start("auto-backup") { self.run() }
    }

    /// rqlite's members, and behind them ours.
    func status() -> JSONValue {
        let shown = shown.withLock { $0 }
        return .object([
            .init("last_index", .string(String(shown.lastIndex))),
            .init("last_upload_duration", .string(shown.lastDuration.goText)),
            .init("last_upload_time", .string(shown.lastUpload.wholeSeconds.rfc3339)),
            .init("upload_destination", .string(place.name)),
            .init("upload_interval", .string(settings.interval.goText)),
            .init("last_error", recentFault.json),
        ])
    }

    private func run() {
        for fault in place.takeBackUnfinished(worker.flag) where !worker.isStopped {
            logger.warning(
                "an upload that was not finished can't be taken back now",
                ["cause": fault.description])
        }
        var schedule = UploadSchedule(interval: settings.interval)
        while !worker.isStopped {
            let status = node.status
            let leads = status.role == .leader && status.isReady && !isHeld()
            let cluster = status.cluster.map { "\($0)" } ?? ""
            switch schedule.step(
                at: .now, leadership: leads ? status.term.rawValue : nil, cluster: cluster,
                index: status.appliedIndex.rawValue)
            {
            case .rest(let deadline): worker.rest(until: deadline)
            case .readMarker: schedule.markerRead(readMarker())
            case .skip:
                counters.checks.add()
                counters.skipped.add()
                // There is another look before anything is put there.
                _ = lookAgain(for: &schedule)
            case .upload:
                counters.checks.add()
                let begin = MonotonicTime.now
                do throws(StorageFault) {
                    try upload(&schedule, cluster)
                } catch {
                    schedule.failed(at: .now, begunAt: begin)
                    note(error)
                }
            }
        }
    }

    /// What can't be read is as if it were not there: a copy too many does no harm.
    private func readMarker() -> BackupMarker? {
        do throws(StorageFault) {
            return try place.marker(worker.flag)
        } catch {
            counters.unreadMarkers.add()
            if !worker.isStopped {
                logger.warning(
                    "can't read what the last backup says of itself", ["cause": error.description])
            }
            return nil
        }
    }

    /// Copies with times in their names replace nothing.
    /// - Returns: why it is not known what lies there.
    private func lookAgain(for schedule: inout UploadSchedule) -> StorageFault? {
        guard !settings.hasTimestamp else { return nil }
        do throws(StorageFault) {
            schedule.found(try place.lookup(worker.flag))
            return nil
        } catch {
            counters.unreadMarkers.add()
            return error
        }
    }

    private func upload(_ schedule: inout UploadSchedule, _ cluster: String) throws(StorageFault) {
        let begin = MonotonicTime.now
        let isGuarded = settings.logInterval != nil
        // A large database is copied and checked for hours.
        if let fault = lookAgain(for: &schedule),
            UploadSchedule.isVain(after: fault, isGuarded: isGuarded)
        {
            throw fault
        }
        // What it was refused for once stays so until somebody acts.
        if schedule.hasFailed { try requireOwn(schedule, cluster) }
        guard let copy = try gather(cluster) else { return schedule.passed(at: .now) }
        // It may be another cluster's copy whose place it would take.
        if let fault = lookAgain(for: &schedule), isGuarded { throw fault }
        if let digest = copy.marker.digest, schedule.holds(digest: digest) {
            counters.skippedByMarker.add()
            recentFault.clear()
            return schedule.done(copy.marker, begunAt: begin)
        }
        if copy.isEmpty, !schedule.holds(of: cluster) {
            // A node that lost its data must not take the place of its last backup.
            counters.skipped.add()
            return schedule.passed(at: .now)
        }
        try requireOwn(schedule, cluster)
        let sending = MonotonicTime.now
        let time = WallTime.now()
        try place.store(copy.file, copy.marker, at: time, worker.flag)
        let elapsed = MonotonicTime.now - sending
        schedule.done(copy.marker, begunAt: begin)
        counters.succeeded.add()
        counters.bytes.add(Int(copy.file.byteCount))
        counters.lastBytes.set(Int(copy.file.byteCount))
        counters.lastTime.set(Int(time.seconds))
        shown.withLock {
            $0.lastUpload = time
            $0.lastDuration = elapsed
            $0.lastIndex = copy.marker.index
        }
        recentFault.clear()
        logger.info(
            "completed auto upload",
            [
                "to": place.name, "size": ByteSize(bytes: copy.file.byteCount),
                "index": copy.marker.index, "duration": elapsed.goText,
            ])
    }

    /// - Throws: where another cluster's copy lies there, and stays.
    private func requireOwn(
        _ schedule: UploadSchedule, _ cluster: String
    ) throws(StorageFault) {
        guard settings.logInterval != nil, !settings.hasTimestamp,
            let other = schedule.other(than: cluster)
        else { return }
        throw StorageFault(
            "\(place.name) is the copy of another cluster, \(other), and stays: give this cluster "
                + "another place, or take that copy away (its archive goes on meanwhile)")
    }

    /// - Returns: nil where this node does not lead.
    private func gather(_ cluster: String) throws(StorageFault) -> DatabaseCopyTaker.Copy? {
        let taker = DatabaseCopyTaker(
            node: NodeEnquiry(node), directory: directory, isCompressed: settings.isCompressed,
            vacuums: settings.vacuums)
        do throws(StorageFault) {
            let copy = try room.turn(while: { !worker.isStopped }) { () throws(StorageFault) in
                try taker.take(cluster: cluster, while: { !worker.isStopped })
            }
            if copy != nil { counters.copies.add() }
            return copy
        } catch {
            counters.failedCopies.add()
            throw error
        }
    }

    private func note(_ fault: StorageFault) {
        guard !worker.isStopped else { return }
        counters.failed.add()
        recentFault.note(fault, "failed to back up")
    }
}
