internal import Glibc
internal import Raft
internal import Synchronization
internal import Wire

/// Files of backups that are kept for a while, so that who got some of one gets the rest of the same
/// bytes. A file has no name: it is gone when this is, and whatever ends the process.
///
/// Files that nobody reads are let go after `Limits.age`, the oldest of them first where they are too
/// many, too large together, or where the file system has less room left than the next copy may need.
package final class KeptCopies: Sendable {
    struct Limits: Sendable {
        /// With those that are being read.
        var count = 2
        /// Of all together, with those that are being read.
        var bytes: UInt64 = 64 << 30
        /// Since it was last read.
        var age: Duration = .seconds(60)
    }

    struct Copy: Sendable {
        var file: CopyFile
        var logIndex: UInt64
        fileprivate var tag: String
        fileprivate var readers = 1
        /// Of no meaning while it has readers.
        fileprivate var idleSince: ContinuousClock.Instant = .now
    }

    private struct State {
        var copies: [Copy] = []
        var isClosed = false
    }

    private let limits: Limits
    private let state = Mutex(State())

    package convenience init() { self.init(Limits()) }

    init(_ limits: Limits) { self.limits = limits }

    /// The file has a reader, until `end`.
    func begin(_ file: CopyFile, as tag: String, showing logIndex: UInt64) {
        letGo { state in
            guard !state.isClosed else { return [] }
            state.copies.append(Copy(file: file, logIndex: logIndex, tag: tag))
            return trim(&state)
        }
    }

    /// The copy has one reader more, until `end`.
    func find(_ tag: String) -> Copy? {
        state.withLock { state in
            guard let place = state.copies.firstIndex(where: { $0.tag == tag }) else { return nil }
            state.copies[place].readers += 1
            return state.copies[place]
        }
    }

    func end(_ tag: String, at now: ContinuousClock.Instant = .now) {
        letGo { state in
            guard let place = state.copies.firstIndex(where: { $0.tag == tag }) else { return [] }
            state.copies[place].readers -= 1
            state.copies[place].idleSince = now
            return trim(&state)
        }
    }

    /// Whether `expire` has something to do, as far as that can be told at once. Never waits for the disk, nor for who asks
    /// it for its room.
    package func isDue(at now: ContinuousClock.Instant) -> Bool {
        state.withLockIfAvailable { $0.copies.contains { isTooOld($0, at: now) } } ?? false
    }

    /// Lets go what is too old. The file system may take its time to free a large file.
    package func expire(at now: ContinuousClock.Instant) {
        letGo { state in
            let old = state.copies.filter { isTooOld($0, at: now) }
            state.copies.removeAll { isTooOld($0, at: now) }
            return old
        }
    }

    /// Lets go of all; none is kept from here on.
    package func close() {
        letGo { state in
            defer { state = State(isClosed: true) }
            return state.copies
        }
    }

    private func isTooOld(_ copy: Copy, at now: ContinuousClock.Instant) -> Bool {
        copy.readers == 0 && now - copy.idleSince > limits.age
    }

    /// - Parameter pick: takes copies out. Their files are closed when nobody waits for the lock.
    private func letGo(_ pick: (inout State) -> [Copy]) {
        let copies = state.withLock { pick(&$0) }
        // Here they end.
        withExtendedLifetime(copies) {}
    }

    private func trim(_ state: inout State) -> [Copy] {
        var removed: [Copy] = []
        while let oldest = state.copies.indices
            .filter({ state.copies[$0].readers == 0 })
            .min(by: { state.copies[$0].idleSince < state.copies[$1].idleSince })
        {
            let bytes = state.copies.reduce(0) { $0 &+ $1.file.length }
            guard
                state.copies.count > limits.count || bytes > limits.bytes
                    || (removed.isEmpty && state.copies[oldest].file.isScarce)
            else { break }
            removed.append(state.copies.remove(at: oldest))
        }
        return removed
    }
}

/// The file of a copy, open for reading, whatever becomes of its name. For any number of threads.
package final class CopyFile: Sendable {
    private let descriptor: CInt
    /// The header says that there is a write-ahead log.
    private let asWAL: Bool
    /// In bytes.
    let length: UInt64

    /// Read and write version of the format (https://sqlite.org/fileformat2.html §1.3.3).
    private static let versions: Range<UInt64> = 18..<20

    /// - Throws: `BackupFault` when the system doesn't open it.
    init(_ path: String, asWAL: Bool) throws(BackupFault) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("opening the copy", errno) }
        self.asWAL = asWAL
        var status = stat()
        let isKnown = fstat(descriptor, &status) == 0
        length = UInt64(clamping: status.st_size)
        guard isKnown else { throw .system("looking at the copy", errno) }
    }

    deinit { close(descriptor) }

    /// The file system has no room for another one of its size.
    var isScarce: Bool {
        DiskRoom.bytes(of: descriptor).map { $0 < length } ?? false
    }

    /// Hands some of the bytes on.
    func send(_ range: Range<UInt64>, _ answer: inout BackupAnswer) throws(BackupFault) {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let bytes = try read(offset..<min(range.upperBound, offset + Self.partBytes))
            offset += UInt64(bytes.count)
            try answer.add(bytes)
        }
    }

    private static let partBytes = UInt64(ResultWindow.partBytes)

    /// One byte at least.
    func read(_ range: Range<UInt64>) throws(BackupFault) -> [UInt8] {
        var code: CInt = 0
        var bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            var result: Int
            repeat {
                result = pread(
                    descriptor, buffer.baseAddress, buffer.count, off_t(range.lowerBound))
            } while result < 0 && errno == EINTR
            code = result < 0 ? errno : 0
            count = max(result, 0)
        }
        guard code == 0 else { throw .system("reading the copy", code) }
        guard !bytes.isEmpty else { throw .system("reading the copy, which is too short", EIO) }
        if asWAL {
            for place in Self.versions where range.contains(place) {
                let index = Int(place - range.lowerBound)
                if index < bytes.count { bytes[index] = 2 }
            }
        }
        return bytes
    }
}

extension BackupRequest {
    /// The same bytes come of every reading of the copy.
    var hasTag: Bool { selection != nil && form != .sql && !compress }

    /// Tells tags of other forms from those of this one.
    var tagPart: String {
        form == .delete ? "-delete-" : vacuum ? "-vacuum-" : "-binary-"
    }
}

extension DatabaseCopy {
    /// Names the cluster, the index and the form; the end of the file's name and the moment at which
    /// the file was made tell it from every other copy of the same.
    func tag(_ request: BackupRequest, _ state: AppliedState) -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        let moment =
            UInt64(clamping: status.st_ctim.tv_sec) &* 1_000_000_000
            &+ UInt64(clamping: status.st_ctim.tv_nsec)
        let cluster = state.cluster.map { "\($0)" } ?? "none"
        return "\(cluster)-\(state.position.index.rawValue)\(request.tagPart)"
            + "\(String(moment, radix: 36))\(path.suffix(6))"
    }
}
