import Glibc

/// Who could have put a plugin there. Its code runs with all the rights of the node, so file and
/// directory must be under the control of root or of the node's own user.
struct PluginTrust {
    let user: uid_t
    let group: gid_t

    static let ofThisProcess = PluginTrust(user: geteuid(), group: getegid())

    func check(_ status: stat, path: String) throws(PluginRefusal) {
        guard status.st_uid == 0 || status.st_uid == user else {
            throw .untrusted(path: path, why: "is owned by user \(status.st_uid)")
        }
        guard status.st_mode & S_IWOTH == 0 else {
            throw .untrusted(path: path, why: "is writable by everyone")
        }
        guard status.st_mode & S_IWGRP == 0 || primaryGroup(of: status.st_uid) == status.st_gid
        else { throw .untrusted(path: path, why: "is writable by group \(status.st_gid)") }
    }

    func check(directory: String) throws(PluginRefusal) {
        var status = stat()
        guard stat(directory, &status) == 0 else {
            throw .unreadable("\(directory): \(String(cString: strerror(errno)))")
        }
        try check(status, path: directory)
    }

    /// Nil when the user database does not know, which is usual in containers.
    private func primaryGroup(of owner: uid_t) -> gid_t? {
        if owner == 0 { return 0 }
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        guard getpwuid_r(owner, &entry, &buffer, buffer.count, &found) == 0, found != nil else {
            return owner == user ? group : nil
        }
        return entry.pw_gid
    }
}
