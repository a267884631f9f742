import Glibc
import Synchronization
import Wire

/// The file a snapshot is received into: created anew, never one that was there. Its calls block,
/// and wait for each other. Until `release` or `abandon` it belongs to one transfer.
final class SnapshotFile: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var operation: String
        var path: String
        var code: Int32

        var description: String { "\(operation) \(path): \(String(cString: strerror(code)))" }
    }

    /// What is in the file is not what was sent.
    struct Mismatch: Error, CustomStringConvertible {
        var description: String
    }

    private struct State {
        /// Nil once it is closed.
        var descriptor: Int32?
        var byteCount: UInt64 = 0
        /// It is somebody else's, or gone.
        var isReleased = false
    }

    private static let slice = 1 << 20
    /// Left free beside a snapshot: what the log claims for its next segment.
    private static let spareBytes: UInt64 = 16 << 20

    let path: String
    /// By then another file may stand at the path: only the one that was created here is deleted.
    private let created: stat
    private let state: Mutex<State>

    /// - Parameter byteCount: what is to be written. Where the disk says that it has less room nothing is begun: a
    ///   part of it would take the last from log and database.
    init(path: String, for byteCount: UInt64) throws(Failure) {
        let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let descriptor = Glibc.open(path, flags, 0o600)
        guard descriptor >= 0 else {
            let code = errno
            throw Failure(operation: "create", path: path, code: code)
        }
        if let free = Self.shortage(for: byteCount, descriptor) {
            close(descriptor)
            unlink(path)
            throw Failure(
                operation: "make room for \(byteCount) bytes where \(free) are free, at",
                path: path, code: ENOSPC)
        }
        var created = stat()
        fstat(descriptor, &created)
        self.created = created
        self.path = path
        state = Mutex(State(descriptor: descriptor))
    }

    /// - Returns: the bytes that are free where they are too few; nil: they are enough, or nobody knows.
    private static func shortage(for byteCount: UInt64, _ descriptor: Int32) -> UInt64? {
        var facts = statvfs()
        guard fstatvfs(descriptor, &facts) == 0, facts.f_blocks > 0 else { return nil }
        let free = UInt64(facts.f_bavail).multipliedReportingOverflow(by: UInt64(facts.f_frsize))
        let needed = byteCount.addingReportingOverflow(spareBytes)
        guard !free.overflow, needed.overflow || free.partialValue < needed.partialValue else {
            return nil
        }
        return free.partialValue
    }

    var byteCount: UInt64 { state.withLock { $0.byteCount } }

    func append(_ bytes: ArraySlice<UInt8>) throws {
        try state.withLock { state in
            let descriptor = try open(state)
            var written = 0
            while written < bytes.count {
                let count = bytes.withUnsafeBytes { buffer in
                    write(
                        descriptor, buffer.baseAddress?.advanced(by: written),
                        buffer.count - written)
                }
                let code = errno
                if count < 0, code == EINTR { continue }
                guard count > 0 else {
                    throw Failure(operation: "write", path: path, code: code)
                }
                written += count
            }
            state.byteCount += UInt64(bytes.count)
        }
    }

    /// Makes the content durable, reads it back, and compares it with what the sender says of it;
    /// then makes the name durable, and closes. `abandon` may come between two of its steps.
    func finish(expecting byteCount: UInt64, checksum: UInt32) throws {
        try state.withLock { state in
            let descriptor = try open(state)
            try sync(descriptor, path)
            // What is read back shall come from the disk, not from memory.
            _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        }
        let (found, foundChecksum) = try readBack(atMost: byteCount)
        guard found == byteCount else {
            throw Mismatch(description: "the file holds other than the \(byteCount) bytes sent")
        }
        guard foundChecksum == checksum else {
            throw Mismatch(description: "the checksum of the whole file is wrong")
        }
        try state.withLock { state in
            let descriptor = try open(state)
            guard Self.status(descriptor)?.st_size == Int(clamping: byteCount) else {
                throw Mismatch(description: "the file changed while it was checked")
            }
            try syncDirectory()
            state.descriptor = nil
            // After a successful fsync nothing is left that closing could fail to write.
            close(descriptor)
        }
    }

    /// Length and checksum of what the file really holds, read in slices so that an order to stop
    /// waits for one of them at most; one byte more than the limit if there is more.
    private func readBack(atMost limit: UInt64) throws -> (UInt64, UInt32) {
        var buffer = [UInt8](repeating: 0, count: Self.slice)
        var checksum = CRC32C()
        var offset: UInt64 = 0
        while true {
            let count = try state.withLock { state in
                let descriptor = try open(state)
                return pread(descriptor, &buffer, buffer.count, off_t(clamping: offset))
            }
            let code = errno
            if count < 0, code == EINTR { continue }
            guard count >= 0 else { throw Failure(operation: "read", path: path, code: code) }
            if count == 0 || offset > limit { return (offset, checksum.value) }
            checksum.update(buffer[..<count])
            offset += UInt64(count)
        }
    }

    /// It is handed over: from now on nothing here touches it.
    func release() {
        state.withLock { $0.isReleased = true }
    }

    /// Closes and deletes it, unless it was handed over.
    func abandon() {
        state.withLock { state in
            if let descriptor = state.descriptor { close(descriptor) }
            state.descriptor = nil
            guard !state.isReleased else { return }
            state.isReleased = true
            if let named = Self.status(at: path), named.st_dev == created.st_dev,
                named.st_ino == created.st_ino
            {
                unlink(path)
            }
        }
    }

    private static func status(_ descriptor: Int32) -> stat? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? status : nil
    }

    private static func status(at path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    private func open(_ state: State) throws(Failure) -> Int32 {
        guard let descriptor = state.descriptor else {
            throw Failure(operation: "use", path: path, code: EBADF)
        }
        return descriptor
    }

    private func syncDirectory() throws(Failure) {
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let parent = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard parent >= 0 else {
            let code = errno
            throw Failure(operation: "open", path: directory, code: code)
        }
        defer { close(parent) }
        try sync(parent, directory)
    }

    private func sync(_ descriptor: Int32, _ path: String) throws(Failure) {
        guard fsync(descriptor) == 0 else {
            let code = errno
            throw Failure(operation: "fsync", path: path, code: code)
        }
    }

    /// Backstop: a transfer ends with `release` or `abandon`.
    deinit { abandon() }
}
