import Glibc

/// The process's descriptors, for libraries that open some and can't be told how.
enum OpenDescriptors {
    static func all() -> Set<Int32> {
        guard let folder = opendir("/proc/self/fd") else { return [] }
        defer { closedir(folder) }
        var found: Set<Int32> = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let descriptor = Int32(name), descriptor != dirfd(folder) {
                found.insert(descriptor)
            }
        }
        return found
    }

    /// Those that another thread opened meanwhile are marked too, as all in this process should be.
    static func closeOnExec(_ descriptors: Set<Int32>) {
        for descriptor in descriptors {
            let flags = fcntl(descriptor, F_GETFD)
            if flags >= 0 { _ = fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) }
        }
    }
}
