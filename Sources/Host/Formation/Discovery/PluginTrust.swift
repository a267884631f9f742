import Glibc

/// Who could have put a plugin there. Its code runs with all the rights of the node, so file and
/// directory must be under the control of root or of the node's own user.
struct PluginTrust {
    let user: uid_t

    static let ofThisProcess = PluginTrust(user: geteuid())

    func check(_ status: stat, path: String) throws(PluginRefusal) {
        guard status.st_uid == 0 || status.st_uid == user else {
            throw .untrusted(path: path, why: "is owned by user \(status.st_uid)")
        }
        guard status.st_mode & S_IWOTH == 0 else {
            throw .untrusted(path: path, why: "is writable by everyone")
        }
        guard status.st_mode & S_IWGRP == 0 || status.st_gid == 0 else {
            throw .untrusted(path: path, why: "is writable by group \(status.st_gid)")
        }
    }

    func check(directory: String) throws(PluginRefusal) {
        var status = stat()
        guard stat(directory, &status) == 0 else {
            throw .unreadable("\(directory): \(String(cString: strerror(errno)))")
        }
        try check(status, path: directory)
    }
}
