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
        // What else keeps it from being seen keeps it from being opened, and is told then.
        guard access(directory + "/lock", F_OK) == 0 || ![ENOENT, ENOTDIR].contains(errno) else {
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
        var code = EINTR
        while code == EINTR { code = flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : errno }
        // `deinit` closes it, after this throw too.
        if let refusal = Self.refusal(of: directory, code) { throw refusal }
    }

    /// Why there is no lock: somebody has it, or the file system has none to give.
    /// - Parameter code: of flock(2), 0 if it was given.
    static func refusal(of directory: String, _ code: Int32) -> StartError? {
        switch code {
        case 0: nil
        case EAGAIN: .directoryInUse(directory)
        default:
            .storage(
                "can't lock \(directory)/lock: \(String(cString: strerror(code))). Without a lock two "
                    + "processes could use one data directory: put it on a file system that has locks"
            )
        }
    }

    deinit {
        // A child that is being started holds a copy of the descriptor until its program begins.
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
