import Glibc
import NodeLogic

/// Keeps a second process away from a data directory for as long as this one lives. The lock goes
/// with the process, however it ends.
struct DirectoryLock: ~Copyable, Sendable {
    private let descriptor: Int32

    init(_ directory: String) throws(StartError) {
        try self.init(directory, flags: O_CREAT | O_RDWR)
    }

    /// Of a directory that a node has used; nothing is made there.
    init(existing directory: String) throws(StartError) {
        guard access(directory + "/lock", F_OK) == 0 else {
            throw .storage("\(RecoveryError.noState(directory))")
        }
        try self.init(directory, flags: O_RDONLY)
    }

    private init(_ directory: String, flags: Int32) throws(StartError) {
        let path = directory + "/lock"
        descriptor = open(path, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw .storage("can't open \(path): \(String(cString: strerror(errno)))")
        }
        // `deinit` closes it, after this throw too.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw .directoryInUse(directory) }
    }

    deinit {
        // A child that is being started holds a copy of the descriptor until its program begins.
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
