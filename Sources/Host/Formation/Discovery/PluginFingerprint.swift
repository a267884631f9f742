import CPlatform
import Glibc

/// What a plugin's file was when it was loaded, to tell later whether it is still the same, was put
/// in the other's place, or was overwritten while code of it may run.
package struct PluginFingerprint: Equatable, Sendable {
    /// What became of a file.
    package enum Change: Equatable, Sendable {
        case none
        /// Another file has the path now; the one that was loaded is whole as long as it is in use.
        case replaced
        /// The file itself holds something else: what runs may meet the new bytes at any moment.
        case overwritten
    }

    private let identity: PluginFile.Identity
    private let size: Int64
    /// Seconds and nanoseconds.
    private let modified: [Int]
    private let hash: UInt64

    /// Reads the whole file.
    package init(_ file: PluginFile) throws(PluginRefusal) {
        let descriptor = open(file.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .unreadable(String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var status = stat()
        var hash: UInt64 = 0
        guard fstat(descriptor, &status) == 0, cplatform_hash_file(descriptor, &hash) != 0 else {
            throw .unreadable(String(cString: strerror(errno)))
        }
        identity = PluginFile.Identity(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        guard identity == file.identity else {
            throw .notLoadable("it was replaced while it was looked at; try again")
        }
        size = Int64(status.st_size)
        modified = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
        self.hash = hash
    }

    /// From an earlier state of the path to this one. A file that is only touched is the same.
    package func change(since old: PluginFingerprint) -> Change {
        if identity != old.identity { return .replaced }
        return size == old.size && hash == old.hash ? .none : .overwritten
    }
}
