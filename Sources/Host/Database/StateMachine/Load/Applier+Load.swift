internal import CSQLite
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
    func applyLoad(_ entry: Pending, into results: inout [AppliedEntry]) throws(ApplyFault) {
        var state = applied
        state.position = entry.position
        state.progress = nil
        var result = CommandResult([])
        switch entry.content {
        case .load(let image):
            marker?.begin(entry.position.index)
            defer { marker?.end() }
            result.error = try load(image, &state)
        case .loadPart(let part): result.error = try keep(part, &state)
        case .loadEnd(let end): result.error = try endLoad(end, &state)
        default: preconditionFailure("entry \(entry.position) is about no load")
        }
        applied = state
        result.logIndex = entry.position.index.rawValue
        results.append(
            AppliedEntry(index: entry.position.index, result: entry.isReported ? result : nil))
    }

    /// - Returns: why it was not done, on any node.
    private func load(_ image: DatabaseImage, _ state: inout AppliedState) throws(ApplyFault)
        -> String?
    {
        if image.needsEmpty, try !isEmpty() {
            try note(state)
            return DatabaseImage.notEmpty
        }
        if UInt64(clamping: image.byteCount) > state.settings.limits.database {
            try note(state)
            return OpenLoad.tooLarge(state.settings.limits)
        }
        let count = image.byteCount
        return try replace(byFileOf: count, &state) { reader, file throws(LoadFault) in
            try reader.unpack(image.packed, into: file)
        } otherwise: { state throws(ApplyFault) in
            try note(state)
        }
    }

    /// Whether clients have made nothing in the database.
    private func isEmpty() throws(ApplyFault) -> Bool {
        do throws(SQLiteError) {
            return try session.connection.integer("SELECT 1 FROM main.sqlite_schema LIMIT 1") == nil
        } catch {
            throw .storage("looking whether the database is empty", error)
        }
    }

    /// Makes the file and puts it in the place of the database, or notes that this can't be.
    /// - Parameters:
    ///   - unpack: hands all of the stream to the reader.
    ///   - note: notes that the entry is done where its bytes are no file, in one transaction.
    /// - Returns: why the file can't be made, on any node.
    func replace(
        byFileOf byteCount: Int, _ state: inout AppliedState,
        unpack: (inout GzipReader, LoadFile) throws(LoadFault) -> Void,
        otherwise note: (inout AppliedState) throws(ApplyFault) -> Void
    ) throws(ApplyFault) -> String? {
        // Whoever wrote until there is none would take it from the log, too, and again with each attempt.
        guard hasRoom(for: byteCount) else { throw .diskFull }
        let path = DatabaseDirectory(beside: self.path).temporaryFiles + "/etilqs_load"
        defer { DatabaseDirectory.drop(path) }
        do throws(LoadFault) {
            let file = try LoadFile(path)
            var reader = GzipReader(limit: byteCount)
            try unpack(&reader, file)
            guard file.byteCount == byteCount else { throw .gzip(.truncated) }
        } catch {
            switch error {
            case .gzip(.memory):
                throw .storage(operation: "unpacking", code: SQLITE_NOMEM, message: error.text)
            case .gzip:
                try note(&state)
                return "the database in the log can't be unpacked: \(error.text)"
            case .system(_, let code) where DiskRoom.mayPass(code): throw .diskFull
            case .noRoom: throw .diskFull
            case .system(let operation, _):
                throw .storage(operation: operation, code: SQLITE_IOERR, message: error.text)
            case .database(let error): throw .storage("reading the parts of a load", error)
            // Nobody can call off what is in the log.
            case .unwanted:
                throw .storage(
                    operation: "unpacking", code: SQLITE_INTERRUPT, message: error.text)
            }
        }
        // Whatever was on its way is gone with the database that holds it.
        state.load = nil
        do throws(SQLiteError) {
            try replaceAll(by: path, state)
        } catch {
            try forgetReplacement()
            // The file was made a moment ago: what can't be opened now finds no descriptor.
            guard error.code != SQLITE_CANTOPEN else { throw .diskFull }
            throw .storage("loading a database", error)
        }
        return nil
    }

    /// For the file, for as much in SQLite's log, and for an eighth of it beside them.
    private func hasRoom(for byteCount: Int) -> Bool {
        room(path).map { $0 / 17 >= UInt64(clamping: byteCount) / 8 } ?? true
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
        try MetadataTable.widen(on: source)
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
        // It was of other rows.
        repeats.forget()
    }

    private func forgetReplacement() throws(ApplyFault) {
        try rollBack()
        do throws(SQLiteError) {
            try session.databaseWasReplaced()
        } catch {
            throw .storage("going on after a failed load", error)
        }
    }

    /// That the entry is done, and in the same transaction what it changes in the daemon's table.
    func note(
        _ state: AppliedState, with changes: () throws(SQLiteError) -> Void = {}
    ) throws(ApplyFault) {
        do throws(SQLiteError) {
            try session.begin()
            try changes()
            try MetadataTable.writeProgress(state, on: session.connection)
            try session.commit()
        } catch {
            try rollBack()
            throw .storage("storing the position", error)
        }
    }
}
