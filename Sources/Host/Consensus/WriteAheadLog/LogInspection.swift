import Glibc
package import Raft

/// A look at a log that changes nothing: for an operator who must decide what to do with the nodes
/// that are left. The caller holds the data directory's lock.
package enum LogInspection {
    /// - Returns: what the log says, and what the next start would cut off its end.
    package static func read(
        _ directory: String, bootID: RandomID
    ) throws(LogError) -> (state: LogState, torn: TornTail?) {
        let recovery = try Recovery(on: ReadOnlyDisk(), directory: directory, bootID: bootID)
        return (recovery.state, recovery.torn)
    }

    /// How many of these names are segments'.
    package static func segments(among names: [String]) -> Int {
        names.compactMap(SegmentHeader.number(ofFileNamed:)).count
    }

    /// How many segments stand in a directory by their names; 0 without the directory. Nothing is
    /// opened.
    package static func segments(in directory: String) throws(LogError) -> Int {
        guard access(directory, F_OK) == 0 else {
            if errno == ENOENT { return 0 }
            throw LogError(
                DiskError(
                    .list, directory, code: errno, isNoSpace: false,
                    reason: String(cString: strerror(errno))))
        }
        do throws(DiskError) {
            return segments(among: try PosixDisk().list(directory))
        } catch {
            throw LogError(error)
        }
    }
}

/// The real file system, of which nothing is changed: what would only tidy up is left undone.
private struct ReadOnlyDisk: Disk {
    private let disk = PosixDisk()

    func createDirectory(_ path: String) {}
    func remove(_ path: String) {}
    func syncDirectory(_ path: String) {}

    func openFile(_ path: String) throws(DiskError) -> PosixFile {
        try PosixFile(path, flags: O_RDONLY, .open)
    }

    func list(_ directory: String) throws(DiskError) -> [String] { try disk.list(directory) }

    func createFile(_ path: String) throws(DiskError) -> PosixFile {
        throw DiskError(.create, path, code: EROFS, isNoSpace: false, reason: "only looked at")
    }

    func rename(_ path: String, to newPath: String) throws(DiskError) {
        throw DiskError(.rename, path, code: EROFS, isNoSpace: false, reason: "only looked at")
    }
}
