import Glibc
import HTTPAPI
import ObjectStorage
import Replica
import Settings
import Telemetry
import Threads
import Time
import Wire

/// What `-auto-restore` brings, at the node's start: it is downloaded into a file of the data
/// directory, under its name only when it is whole, and checked as any load is. The file stays until the
/// cluster has the data, so that a start that ends at the worst moment is made good by the next one. What it
/// is a copy of stands beside it: a start that is told of another one downloads that in its place. So does the SHA-256 of
/// what came, in a line of its own: SQLite finds nothing wrong with a row that the disk has spoilt.
struct RestoreFile {
    private let settings: AutoRestoreSettings
    private let place: any StoragePlace
    private let directory: String
    private let logger: Logger
    private let counters: RestoreCounters

    private static let pause = Duration.seconds(1)

    init(
        _ settings: AutoRestoreSettings, place: any StoragePlace, directory: String,
        counters: RestoreCounters, logger: Logger
    ) {
        self.settings = settings
        self.place = place
        self.directory = directory
        self.counters = counters
        self.logger = logger
    }

    private static func unfinishedPath(in directory: String) -> String {
        "\(directory)/auto-restore.part"
    }

    private var path: String { "\(directory)/auto-restore" }
    private var notePath: String { "\(path).from" }

    /// What a start left that was killed while it downloaded: no other has a use for it, whether it has the
    /// flag or not.
    static func removeUnfinished(in directory: String) {
        unlink(unfinishedPath(in: directory))
    }

    /// It is not wanted any more.
    func remove() {
        unlink(path)
        unlink(notePath)
    }

    private var isThere: Bool { access(path, F_OK) == 0 }

    /// A file is there, and it is of what the configuration names.
    private var isPending: Bool { isThere && notedHash != nil }

    /// Of the file, by the note beside it; empty where an earlier version wrote that. Nil: the file is of something else
    /// than the configuration names, or nobody knows of what.
    private var notedHash: ArraySlice<UInt8>? {
        let descriptor = open(notePath, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var note: [UInt8] = []
        do throws(StorageFault) {
            try FileBytes.read(descriptor, notePath) { note += $0 }
        } catch {
            return nil
        }
        let address = settings.source.address.utf8
        guard note.starts(with: address) else { return nil }
        let rest = note.dropFirst(address.count)
        if rest.isEmpty { return rest }
        // What a crash has cut off says nothing.
        let hash = rest.dropFirst()
        return rest.first == UInt8(ascii: "\n") && hash.count == 64 ? hash : nil
    }

    /// - Returns: what is to be loaded; nil: nothing.
    /// - Throws: where there must be something, and it can't be had.
    func prepare(_ loads: LoadDesk) throws(Daemon.StartFailure) -> RestoreContent? {
        if !isThere, try hasStarted() {
            counters.skipped.add()
            logger.announce(
                "auto-restore requested, but data already exists in \(directory), skipping")
            return nil
        }
        do throws(StorageFault) {
            if !isPending { try download() }
            return RestoreContent(try look(loads, while: { true }))
        } catch {
            counters.failed.add()
            // What an earlier start downloaded would never be downloaded again: this node's own files count
            // as data by now.
            let isKept = !settings.continuesOnFailure && isThere && mayHaveStarted
            var text = "failed to download auto-restore file: \(error)"
            if isKept {
                text =
                    isPending
                    ? "failed to check \(path), which was downloaded before: \(error); it stays for the "
                        + "next start: remove it to begin without the data"
                    : "\(text); what an earlier start downloaded from elsewhere stays in \(path)"
            } else {
                remove()
            }
            guard settings.continuesOnFailure else { throw Daemon.StartFailure(description: text) }
            logger.warning(
                "auto-restore failed, the node starts without the data", ["cause": text])
            return nil
        }
    }

    private func hasStarted() throws(Daemon.StartFailure) -> Bool {
        do throws(StorageFault) {
            return try Self.hasData(directory)
        } catch {
            throw Daemon.StartFailure(description: "auto-restore can't be decided on: \(error)")
        }
    }

    /// Also where that can't be seen, as without a descriptor: what keeps the file from being looked at may be the same.
    private var mayHaveStarted: Bool { (try? Self.hasData(directory)) ?? true }

    /// Names that only a node that has started makes.
    private static func hasData(_ directory: String) throws(StorageFault) -> Bool {
        let names = try DirectoryNames.all(of: directory)
        if names.contains(where: { $0.hasPrefix("db-") || $0.hasPrefix("incoming-") }) {
            return true
        }
        return try !DirectoryNames.all(of: "\(directory)/log").isEmpty
    }

    // MARK: Download

    private func download() throws(StorageFault) {
        let words = isThere ? ", in place of what an earlier start downloaded from elsewhere" : ""
        logger.announce("restoring from \(place.name)\(words)")
        let begin = MonotonicTime.now
        while true {
            do throws(StorageFault) {
                let rest = settings.timeout - (MonotonicTime.now - begin)
                return try fetch(timeout: max(rest, .milliseconds(1)))
            } catch {
                counters.downloadsFailed.add()
                // What passes by itself is waited for.
                guard error.isTransient,
                    MonotonicTime.now - begin + Self.pause < settings.timeout
                else { throw error }
                CurrentThread.pause(milliseconds: 1000)
            }
        }
    }

    private func fetch(timeout: Duration) throws(StorageFault) {
        let part = Self.unfinishedPath(in: directory)
        let descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.fault("making \(part)") }
        defer { close(descriptor) }
        do throws(StorageFault) {
            let digest = try ContentDigest()
            try place.fetch(timeout: timeout, StopFlag()) { bytes throws(StorageFault) in
                try Self.write(bytes, to: descriptor, part)
                bytes.withUnsafeBytes { digest.add($0) }
                counters.bytes.add(bytes.count)
            }
            guard fsync(descriptor) == 0 else { throw Self.fault("writing \(part)") }
            // Whatever happens in between, no note is beside a file of something else: without one it is
            // downloaded again.
            guard unlink(notePath) == 0 || errno == ENOENT, rename(part, path) == 0 else {
                throw Self.fault("writing \(path)")
            }
            try writeNote(try digest.finish())
            counters.downloadsDone.add()
        } catch {
            unlink(part)
            throw error
        }
    }

    private func writeNote(_ hash: String) throws(StorageFault) {
        let descriptor = open(notePath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.fault("making \(notePath)") }
        defer { close(descriptor) }
        let note = "\(settings.source.address)\n\(hash)"
        try Self.write(Array(note.utf8), to: descriptor, notePath)
        guard fsync(descriptor) == 0 else { throw Self.fault("writing \(notePath)") }
    }

    private static func write(
        _ bytes: [UInt8], to descriptor: Int32, _ path: String
    ) throws(StorageFault) {
        let code = bytes.withUnsafeBytes { FileBytes.write($0, to: descriptor) }
        if let code { throw fault("writing \(path)", code: code) }
    }

    private static func fault(_ what: String, code: Int32 = errno) -> StorageFault {
        StorageFault("\(what): \(String(cString: strerror(code)))")
    }

    // MARK: Check

    /// The same again of a file that was too large to be kept, once the node has started.
    /// - Parameter isWanted: asked now and then; when it says no, a fault is thrown.
    /// - Returns: nil: it is another file than at the start.
    func parcel(
        _ loads: LoadDesk, while isWanted: () -> Bool
    ) throws(StorageFault) -> LoadParcel? {
        guard case .parcel(let parcel) = try look(loads, while: isWanted) else { return nil }
        return parcel
    }

    /// The file, through the same check as a client's: an image or a parcel.
    private func look(
        _ loads: LoadDesk, while isWanted: () -> Bool
    ) throws(StorageFault) -> LoadContent {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.fault("opening \(path)") }
        defer { close(descriptor) }
        let intake = loads.begin()
        let digest = try ContentDigest()
        var isWhole = false
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            guard isWanted() else { throw StorageFault("\(path) is not wanted any more") }
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.fault("reading \(path)") }
            isWhole = count == 0
            let bytes = Array(chunk[..<count])
            bytes.withUnsafeBytes { digest.add($0) }
            guard count > 0, intake.add(bytes) == nil else { break }
        }
        let hash = try digest.finish()
        if isWhole, let noted = notedHash, !noted.isEmpty, !noted.elementsEqual(hash.utf8) {
            intake.discard()
            throw StorageFault(
                "\(path) has other bytes than were downloaded: without \(notePath) it is downloaded again"
            )
        }
        let content = intake.finish()
        switch content {
        case .image, .parcel: return content
        case .sql: throw StorageFault("\(place.name) is no SQLite database, nor one that is packed")
        case .tooLarge(let text), .unfit(let text), .unable(let text):
            throw StorageFault("\(place.name) can't be loaded: \(text)")
        case .busy: throw StorageFault("\(place.name) can't be loaded: another load is under way")
        }
    }
}

/// What is to be restored, as far as it is kept from before the node's start.
enum RestoreContent {
    /// It goes as one entry.
    case image(DatabaseImage)
    /// It goes in parts, which are made when they are needed: a start removes such files.
    /// - byteCount: of the database.
    case parts(byteCount: UInt64)

    /// Nil for what is no database.
    init?(_ content: LoadContent) {
        switch content {
        case .image(var image):
            image.needsEmpty = true
            self = .image(image)
        case .parcel(let parcel): self = .parts(byteCount: parcel.byteCount)
        default: return nil
        }
    }
}

/// Under rqlite's names.
struct RestoreCounters: Sendable {
    let restored: Counter
    let skipped: Counter
    let failed: Counter
    let downloadsDone: Counter
    let downloadsFailed: Counter
    let bytes: Counter

    init(_ metrics: MetricRegistry) {
        restored = metrics.counter("store", "num_auto_restores")
        skipped = metrics.counter("store", "num_auto_restores_skipped")
        failed = metrics.counter("store", "num_auto_restores_failed")
        downloadsDone = metrics.counter("downloader", "num_downloads_ok")
        downloadsFailed = metrics.counter("downloader", "num_downloads_fail")
        bytes = metrics.counter("downloader", "download_bytes")
    }
}
