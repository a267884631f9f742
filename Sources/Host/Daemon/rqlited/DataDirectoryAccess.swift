import Glibc

/// Whether this process may use a data directory, looked at before anything is touched: what its
/// owner has to do is the same, whichever file would fail first.
enum DataDirectoryAccess {
    /// - Parameter directory: absolute. If it is missing, what it is made in counts.
    static func check(_ directory: String) throws(Daemon.StartFailure) {
        var path = directory
        while !exists(path), let above = parent(of: path) { path = above }
        let isThere = path == directory
        try require(isThere ? R_OK | W_OK | X_OK : W_OK | X_OK, on: path, for: directory)
        guard isThere else { return }
        for name in ["log", "raft"] where exists("\(directory)/\(name)") {
            try require(R_OK | W_OK | X_OK, on: "\(directory)/\(name)", for: directory)
        }
    }

    /// What can't be looked at counts as being there.
    private static func exists(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 || errno != ENOENT
    }

    private static func parent(of path: String) -> String? {
        guard let slash = path.lastIndex(of: "/"), path != "/" else { return nil }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func require(
        _ rights: Int32, on path: String, for directory: String
    ) throws(Daemon.StartFailure) {
        var info = stat()
        let isFound = stat(path, &info) == 0
        if isFound, info.st_mode & S_IFMT != S_IFDIR {
            throw failure(directory, "\(path) is no directory")
        }
        guard isFound, access(path, rights) == 0 else {
            throw failure(
                directory,
                "\(path): \(String(cString: strerror(errno))). User \(geteuid()) must be able to "
                    + "read it, to write it and to enter it")
        }
    }

    private static func failure(_ directory: String, _ why: String) -> Daemon.StartFailure {
        Daemon.StartFailure(description: "the data directory \(directory) can't be used: \(why)")
    }
}
