internal import CSQLite
internal import Glibc
internal import Gzip
internal import Raft
internal import SQLite
internal import Wire

/// How an entry that loads a database is applied:
///
/// 1. The file is unpacked beside the database, and gets the daemon's own row with the position that
///    the database has after the entry.
/// 2. Its pages take the place of the database's in one transaction of SQLite's.
///
/// So whenever the process ends, the database is the old one at the old position, or the new one at
/// the new position. Readers go on seeing what they see.
extension Applier {
    /// Of an entry that is not left out. Alone in its transaction.
    func load(_ image: DatabaseImage, _ entry: Pending, into results: inout [AppliedEntry])
        throws(ApplyFault)
    {
        marker?.begin(entry.position.index)
        defer { marker?.end() }
        var state = applied
        state.position = entry.position
        state.progress = nil
        let path = DatabaseDirectory(beside: self.path).temporaryFiles + "/etilqs_load"
        defer { DatabaseDirectory.drop(path) }
        var result = CommandResult([])
        if let refusal = try unpack(image, at: path, state.settings.limits) {
            result.error = refusal
            try note(state)
        } else {
            do throws(SQLiteError) {
                try replaceAll(by: path, state)
            } catch {
                try forgetReplacement()
                throw .storage("loading a database", error)
            }
        }
        applied = state
        result.logIndex = entry.position.index.rawValue
        results.append(
            AppliedEntry(index: entry.position.index, result: entry.isReported ? result : nil))
    }

    /// - Returns: why it can't be loaded, on any node.
    private func unpack(_ image: DatabaseImage, at path: String, _ limits: WriteLimits)
        throws(ApplyFault) -> String?
    {
        if UInt64(clamping: image.byteCount) > limits.database {
            return "the database would be larger than \(limits.database) bytes: raise the limit on "
                + "writes"
        }
        do throws(LoadFault) {
            let file = try LoadFile(path)
            var reader = GzipReader(limit: image.byteCount)
            try reader.unpack(image.packed, into: file)
            guard file.byteCount == image.byteCount else { throw .gzip(.truncated) }
            return nil
        } catch {
            switch error {
            case .gzip(.memory):
                throw .storage(operation: "unpacking", code: SQLITE_NOMEM, message: error.text)
            case .gzip: return "the database in the log entry can't be unpacked: \(error.text)"
            case .system(_, let code) where code == ENOSPC || code == EDQUOT: throw .diskFull
            case .system(let operation, _):
                throw .storage(operation: operation, code: SQLITE_IOERR, message: error.text)
            }
        }
    }

    private func replaceAll(by path: String, _ state: AppliedState) throws(SQLiteError) {
        let source = try SessionSetup.connect(
            path, access: .readWrite, functions: FunctionContext(chance: .engine))
        try source.execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF")
        let own = try session.connection.integer("PRAGMA main.page_size") ?? 4096
        if try source.integer("PRAGMA main.page_size") != own {
            // Databases of earlier versions of this program may have pages of another size.
            try source.execute("PRAGMA page_size=\(own)")
            try MetadataTable.replace(on: source, with: state)
        } else {
            try MetadataTable.adopt(on: source)
            try MetadataTable.writeSettings(state, on: source)
        }
        try MetadataTable.writeProgress(state, on: source)
        session.compiler.forget()
        try session.room.lift(on: session.connection)
        let target = session.connection.pointer
        guard let copying = sqlite3_backup_init(target, "main", source.pointer, "main") else {
            throw session.connection.lastError
        }
        let code = sqlite3_backup_step(copying, -1)
        let end = sqlite3_backup_finish(copying)
        guard code == SQLITE_DONE, end == SQLITE_OK else {
            throw SQLiteError(
                extendedCode: code == SQLITE_DONE ? end : code, connection: target)
        }
        try session.databaseWasReplaced()
    }

    private func forgetReplacement() throws(ApplyFault) {
        try rollBack()
        do throws(SQLiteError) {
            try session.databaseWasReplaced()
        } catch {
            throw .storage("going on after a failed load", error)
        }
    }

    /// Only that the entry is done.
    private func note(_ state: AppliedState) throws(ApplyFault) {
        do throws(SQLiteError) {
            try session.begin()
            try MetadataTable.writeProgress(state, on: session.connection)
            try session.commit()
        } catch {
            try rollBack()
            throw .storage("storing the position", error)
        }
    }
}
