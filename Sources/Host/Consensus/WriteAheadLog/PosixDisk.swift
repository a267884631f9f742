import Glibc

/// The real file system.
package struct PosixDisk: Disk, Sendable {
    package init() {}

    package func createDirectory(_ path: String) throws(DiskError) {
        guard mkdir(path, 0o700) == 0 else {
            if errno == EEXIST { return }
            throw DiskError(.createDirectory, path)
        }
        try syncDirectory(parent(of: path))
    }

    /// Makes the directory and those above it that are missing, durably: after a loss of power it is
    /// there, and so is what is made durable in it. Also of one that was there already the name is
    /// made durable, for whoever made it may have died before that.
    /// - Parameters:
    ///   - path: absolute, or relative to the working directory.
    ///   - mode: of those that are made.
    package func makeDirectories(_ path: String, mode: UInt32 = 0o755) throws(DiskError) {
        var partial = path.hasPrefix("/") ? "/" : ""
        var isNew = false
        for part in path.split(separator: "/") {
            let place = parent(of: partial + part)
            partial += part
            isNew = mkdir(partial, mode) == 0
            guard isNew || errno == EEXIST else { throw DiskError(.createDirectory, partial) }
            if isNew { try syncDirectory(place) }
            partial += "/"
        }
        guard !isNew, !partial.isEmpty else { return }
        do throws(DiskError) {
            try syncDirectory(parent(of: partial))
        } catch {
            // Whoever may not read what it stands in did not make it.
            guard error.operation == .open, error.code == EACCES else { throw error }
        }
    }

    package func openFile(_ path: String) throws(DiskError) -> PosixFile {
        try PosixFile(path, flags: O_RDWR, .open)
    }

    package func createFile(_ path: String) throws(DiskError) -> PosixFile {
        try PosixFile(path, flags: O_RDWR | O_CREAT | O_TRUNC, .create)
    }

    package func rename(_ path: String, to newPath: String) throws(DiskError) {
        guard Glibc.rename(path, newPath) == 0 else { throw DiskError(.rename, path) }
    }

    package func rename(
        _ path: String, to newPath: String, durablyIn directory: String
    ) throws(DiskError) {
        // Before the change, so that a lack of descriptors leaves everything as it was.
        let descriptor = try openDirectory(directory)
        defer { close(descriptor) }
        try rename(path, to: newPath)
        guard fsync(descriptor) == 0 else { throw DiskError(.syncDirectory, directory) }
    }

    package func remove(_ path: String) throws(DiskError) {
        guard unlink(path) == 0 else { throw DiskError(.remove, path) }
    }

    package func list(_ directory: String) throws(DiskError) -> [String] {
        guard let stream = opendir(directory) else { throw DiskError(.list, directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw DiskError(.list, directory) }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(
                    to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)
                ) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    package func syncDirectory(_ path: String) throws(DiskError) {
        let descriptor = try openDirectory(path)
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw DiskError(.syncDirectory, path) }
    }

    /// Not being able to open a directory says nothing of what it holds, unlike a failed sync.
    private func openDirectory(_ path: String) throws(DiskError) -> Int32 {
        let descriptor = openRetrying(path, O_RDONLY | O_DIRECTORY, 0)
        guard descriptor >= 0 else { throw DiskError(.open, path) }
        return descriptor
    }

    private func parent(of path: String) -> String {
        var parts = path.split(separator: "/", omittingEmptySubsequences: true)
        if !parts.isEmpty { parts.removeLast() }
        let joined = parts.joined(separator: "/")
        return path.hasPrefix("/") ? "/" + joined : (joined.isEmpty ? "." : joined)
    }
}

/// An open file descriptor.
package final class PosixFile: DiskFile, Sendable {
    private let descriptor: Int32
    private let path: String

    init(
        _ path: String, flags: Int32, _ operation: DiskError.Operation
    ) throws(DiskError) {
        descriptor = openRetrying(path, flags, 0o600)
        self.path = path
        guard descriptor >= 0 else { throw DiskError(operation, path) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    package func size() throws(DiskError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw DiskError(.stat, path) }
        return Int(status.st_size)
    }

    package func preallocate(_ count: Int) throws(DiskError) {
        var code = EINTR
        while code == EINTR { code = posix_fallocate(descriptor, 0, off_t(count)) }
        // Not every file system can reserve; written zeros claim the room there.
        if code == EOPNOTSUPP { return try writeZeros(count) }
        guard code == 0 else { throw DiskError(.preallocate, path, code: code) }
    }

    private func writeZeros(_ count: Int) throws(DiskError) {
        let zeros = [UInt8](repeating: 0, count: min(count, 1 << 20))
        var offset = 0
        while offset < count {
            let length = min(zeros.count, count - offset)
            try write(Array(zeros[..<length]), at: offset)
            offset += length
        }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            if count > 0 {
                done += count
            } else if count == 0 || errno != EINTR {
                throw DiskError(.write, path)
            }
        }
    }

    package func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(DiskError) -> Int {
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            if count > 0 {
                done += count
            } else if count == 0 {
                break
            } else if errno != EINTR {
                throw DiskError(.read, path)
            }
        }
        return done
    }

    // A sync is not repeated after EINTR either: what it reports once, it may not report again.

    package func syncData() throws(DiskError) {
        guard fdatasync(descriptor) == 0 else { throw DiskError(.sync, path) }
    }

    package func sync() throws(DiskError) {
        guard fsync(descriptor) == 0 else { throw DiskError(.sync, path) }
    }
}

/// Opens a file, again when a signal cut the call short: nothing has happened then.
private func openRetrying(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 {
    var descriptor: Int32
    repeat {
        descriptor = Glibc.open(path, flags | O_CLOEXEC, mode)
    } while descriptor < 0 && errno == EINTR
    return descriptor
}

extension DiskError {
    /// The failure that a code of the system, or `errno`, tells of.
    fileprivate init(_ operation: Operation, _ path: String, code: Int32 = errno) {
        self.init(
            operation, path, code: code, isNoSpace: [ENOSPC, EDQUOT, EFBIG].contains(code),
            isOutOfDescriptors: code == EMFILE || code == ENFILE,
            reason: String(cString: strerror(code)))
    }
}
