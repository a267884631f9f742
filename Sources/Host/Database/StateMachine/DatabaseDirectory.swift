package import Raft
internal import CSQLite
internal import Glibc
internal import SQLite

/// Why a file could not become the database, or the directory could not be used.
package enum DirectoryError: Error, Equatable, Sendable, CustomStringConvertible {
    case system(operation: String, path: String, code: Int32)
    case database(operation: String, path: String, message: String)
    /// The file is no SQLite database, or damaged.
    case unfit(path: String, reason: String)
    /// The file that others would be deleted for is not there.
    case missing(path: String)
    /// A new, empty database would take the place of one that is there.
    case occupied(path: String)

    package var description: String {
        switch self {
        case .system(let operation, let path, let code):
            "\(operation) \(path) failed: \(String(cString: strerror(code)))"
        case .database(let operation, let path, let message):
            "\(operation) \(path) failed: \(message)"
        case .unfit(let path, let reason): "\(path) can't be used as database: \(reason)"
        case .missing(let path): "\(path) is not there, so no other database may be deleted"
        case .occupied(let path): "\(path) is there: an empty database must not replace it"
        }
    }

    /// There is no room: the same can be done again when there is.
    package var isDiskFull: Bool {
        guard case .system(_, _, let code) = self else { return false }
        return DiskRoom.isLacking(code)
    }
}

/// The directory with the database files `db-<generation>.sqlite`. A generation is complete and on
/// stable storage before the log names it; files the log doesn't name are leftovers.
package struct DatabaseDirectory: Sendable {
    /// The data directory.
    package let path: String

    package init(path: String) {
        self.path = path
    }

    /// The path of a generation's file, whether it is there or not.
    package func file(of generation: Generation) -> String {
        "\(path)/db-\(generation).sqlite"
    }

    /// Where a file for a new generation is gathered. Nobody takes it for a generation.
    package func incomingFile(of generation: Generation) -> String {
        "\(path)/incoming-\(generation).sqlite"
    }

    /// Whether the directory exists.
    package var isThere: Bool {
        get throws(DirectoryError) {
            guard access(path, F_OK) != 0 else { return true }
            guard errno == ENOENT else {
                throw .system(operation: "looking for", path: path, code: errno)
            }
            return false
        }
    }

    /// The database files that are there, ascending.
    package func generations() throws(DirectoryError) -> [Generation] {
        Self.generations(among: try Self.names(in: path))
    }

    /// Names of files that are no generation: in the making, or parts of one that is gone.
    package func incomingFiles() throws(DirectoryError) -> [String] {
        let names = try Self.names(in: path)
        let complete = Self.generations(among: names).map { "db-\($0).sqlite" }
        return names.filter { name in
            Self.isOurs(name) && !complete.contains { Self.belongs(name, to: $0) }
        }
    }

    /// Only a name that the generation would be given counts: `db-01.sqlite` is no generation.
    private static func generations(among names: [String]) -> [Generation] {
        names.compactMap { name in
            guard name.hasPrefix("db-"), name.hasSuffix(".sqlite") else { return nil }
            guard let number = UInt64(name.dropFirst(3).dropLast(7)) else { return nil }
            return name == "db-\(number).sqlite" ? Generation(number) : nil
        }.sorted()
    }

    /// Deletes all database files but those of `generation`, at start or when it is switched to and
    /// all connections to the others are closed.
    /// - Throws: `missing`, before anything is deleted, if there is no such generation.
    package func removeAll(except generation: Generation) throws(DirectoryError) {
        guard exists(generation) else { throw .missing(path: file(of: generation)) }
        let kept = "db-\(generation).sqlite"
        for name in try Self.names(in: path)
        where Self.isOurs(name) && !Self.belongs(name, to: kept) {
            guard unlink("\(path)/\(name)") == 0 || errno == ENOENT else {
                throw .system(operation: "deleting", path: "\(path)/\(name)", code: errno)
            }
        }
        try sync(path)
    }

    /// Where SQLite puts its temporary files: what a statement sorts and gathers stands on the same
    /// disk as the database, whose room is watched.
    package var temporaryFiles: String { "\(path)/tmp" }

    /// An empty file of its own among SQLite's temporary ones, which a start removes.
    /// - Parameter name: what it is for.
    /// - Returns: its path; nil, and `errno` says why there is none.
    static func makeTemporaryFile(_ name: String, in directory: String) -> String? {
        var template = Array("\(directory)/etilqs_\(name)_XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { return nil }
        // SQLite has not opened it yet: no lock of its goes with this.
        close(descriptor)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    /// The file of the `ApplyMarker`.
    package var markerFile: String { "\(path)/applying" }

    /// Makes the place for SQLite's temporary files, removes what an earlier process left there, and
    /// tells SQLite, for the whole process. Once, before a connection works for clients.
    package func prepareTemporaryFiles() throws(DirectoryError) {
        guard mkdir(temporaryFiles, 0o700) == 0 || errno == EEXIST else {
            throw .system(operation: "making", path: temporaryFiles, code: errno)
        }
        for name in try Self.names(in: temporaryFiles)
        where name.hasPrefix("etilqs_") {
            try removeLeftover("\(temporaryFiles)/\(name)")
        }
        guard csqlite_set_temporary_directory(temporaryFiles) == SQLITE_OK else {
            throw .system(operation: "choosing", path: temporaryFiles, code: ENOMEM)
        }
    }

    /// A file, or the folder of a database in which a load was tried (`LoadedSchema`, `LoadedDump`):
    /// there are files alone in it.
    private func removeLeftover(_ path: String) throws(DirectoryError) {
        if unlink(path) == 0 || errno == ENOENT { return }
        guard errno == EISDIR else {
            throw .system(operation: "deleting", path: path, code: errno)
        }
        for name in try Self.names(in: path) { try removeFile("\(path)/\(name)") }
        guard rmdir(path) == 0 else {
            throw .system(operation: "deleting", path: path, code: errno)
        }
    }

    /// Whether the file of a generation is there.
    package func exists(_ generation: Generation) -> Bool {
        access(file(of: generation), F_OK) == 0
    }

    private static func isOurs(_ name: String) -> Bool {
        (name.hasPrefix("db-") || name.hasPrefix("incoming-")) && name.contains(".sqlite")
    }

    private static func belongs(_ name: String, to file: String) -> Bool {
        name == file || name == "\(file)-wal" || name == "\(file)-shm"
    }

    /// What is in a directory, in order: all of it.
    /// - Parameter next: the system's; tests put another one in its place.
    static func names(
        in path: String,
        by next: (OpaquePointer) -> UnsafeMutablePointer<dirent>? = { readdir($0) }
    ) throws(DirectoryError) -> [String] {
        guard let directory = opendir(path) else {
            throw .system(operation: "listing", path: path, code: errno)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = next(directory) else {
                let code = errno
                guard code == 0 else {
                    throw .system(operation: "listing", path: path, code: code)
                }
                return names.sorted()
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// Waits until a file, or the directory's entries, are on stable storage. Only for files to
    /// which SQLite has no open connection.
    func sync(_ path: String) throws(DirectoryError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .system(operation: "opening", path: path, code: errno)
        }
        let result = fsync(descriptor)
        let code = errno
        close(descriptor)
        guard result == 0 else { throw .system(operation: "syncing", path: path, code: code) }
    }

    /// A database file with all that SQLite keeps beside it.
    func remove(_ path: String) throws(DirectoryError) {
        for suffix in ["", "-wal", "-shm", "-journal"] { try removeFile(path + suffix) }
    }

    func removeFile(_ path: String) throws(DirectoryError) {
        guard unlink(path) == 0 || errno == ENOENT else {
            throw .system(operation: "deleting", path: path, code: errno)
        }
    }
}
