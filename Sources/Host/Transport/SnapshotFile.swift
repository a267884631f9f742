import Glibc
import Synchronization
import Wire

/// The file a snapshot is received into. Its calls block, and wait for each other.
final class SnapshotFile: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var operation: String
        var path: String
        var code: Int32

        var description: String { "\(operation) \(path): \(String(cString: strerror(code)))" }
    }

    private struct State {
        /// Nil once it is closed.
        var descriptor: Int32?
        var byteCount: UInt64 = 0
        var checksum = CRC32C()
    }

    let path: String
    private let state: Mutex<State>

    init(path: String) throws(Failure) {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let code = errno
            throw Failure(operation: "create", path: path, code: code)
        }
        self.path = path
        state = Mutex(State(descriptor: descriptor))
    }

    var byteCount: UInt64 { state.withLock { $0.byteCount } }
    var checksum: UInt32 { state.withLock { $0.checksum.value } }

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
            state.checksum.update(bytes)
        }
    }

    /// Makes the content and the name durable, and closes.
    func finish() throws {
        try state.withLock { state in
            let descriptor = try open(state)
            try sync(descriptor, path)
            state.descriptor = nil
            // After a successful fsync nothing is left that closing could fail to write.
            close(descriptor)
            let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
            let parent = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard parent >= 0 else {
                let code = errno
                throw Failure(operation: "open", path: directory, code: code)
            }
            defer { close(parent) }
            try sync(parent, directory)
        }
    }

    /// Closes and deletes it.
    func abandon() {
        state.withLock { state in
            if let descriptor = state.descriptor { close(descriptor) }
            state.descriptor = nil
        }
        unlink(path)
    }

    private func open(_ state: State) throws(Failure) -> Int32 {
        guard let descriptor = state.descriptor else {
            throw Failure(operation: "use", path: path, code: EBADF)
        }
        return descriptor
    }

    private func sync(_ descriptor: Int32, _ path: String) throws(Failure) {
        guard fsync(descriptor) == 0 else {
            let code = errno
            throw Failure(operation: "fsync", path: path, code: code)
        }
    }

    deinit {
        state.withLock { state in
            if let descriptor = state.descriptor { close(descriptor) }
        }
    }
}
