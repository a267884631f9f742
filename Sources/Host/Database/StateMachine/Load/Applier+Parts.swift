internal import CSQLite
internal import Gzip
internal import SQLite
internal import Wire

/// A load that is too large for one entry
/// (docs/decisions/0136-loads-of-any-size-go-in-parts.md):
///
/// 1. Each part is an entry, kept in a row of the daemon's table: what clients see is the old
///    database.
/// 2. The end makes the file of the parts, and puts it in the place of the database as a load of one
///    entry does, in one transaction. The parts go with the old database.
///
/// Every verdict follows from the log and the database alone. None of it is counted by the marker of
/// entries that end the process: a client's SQL doesn't run here.
extension Applier {
    /// - Returns: why the part is not kept, on any node.
    func keep(_ part: LoadPart, _ state: inout AppliedState) throws(ApplyFault) -> String? {
        let now = max(state.lastMilliseconds, part.stamp.milliseconds)
        state.lastMilliseconds = now
        let verdict = OpenLoad.judge(part, state.load, state.settings.limits, at: now)
        switch verdict {
        case .known:
            try note(state)
            return nil
        case .refused(let text):
            try note(state)
            return text
        case .begin, .keep:
            state.load = OpenLoad(
                id: part.id, parts: part.number + 1, byteCount: part.byteCount, milliseconds: now)
            try note(state) { () throws(SQLiteError) in
                // It must fit whatever the limit on clients' writes is.
                try session.room.lift(on: session.connection)
                if verdict == .begin { try MetadataTable.dropParts(on: session.connection) }
                try MetadataTable.keep(part, at: now, on: session.connection)
            }
            return nil
        }
    }

    /// - Returns: why the parts don't take the place of the database, on any node.
    func endLoad(_ end: LoadEnd, _ state: inout AppliedState) throws(ApplyFault) -> String? {
        state.lastMilliseconds = max(state.lastMilliseconds, end.stamp.milliseconds)
        let isMeant = state.load?.id == end.id
        if end.action == .forget {
            if isMeant { try forget(&state) } else { try note(state) }
            return nil
        }
        var refusal = OpenLoad.refusal(of: end, state.load, state.settings.limits)
        if refusal == nil, end.onlyEmpty { refusal = try refusalUnlessEmpty() }
        if let refusal {
            if isMeant { try forget(&state) } else { try note(state) }
            return refusal
        }
        return try replace(byFileOf: Int(clamping: end.byteCount), &state) {
            reader, file throws(LoadFault) in
            try unpackParts(end.parts, by: &reader, into: file)
        } otherwise: { state throws(ApplyFault) in
            // What can't be unpacked now never can be.
            try forget(&state)
        }
    }

    private func forget(_ state: inout AppliedState) throws(ApplyFault) {
        state.load = nil
        try note(state) { () throws(SQLiteError) in
            try MetadataTable.dropParts(on: session.connection)
        }
    }

    private func refusalUnlessEmpty() throws(ApplyFault) -> String? {
        do throws(SQLiteError) {
            let isTaken = try session.connection.integer(
                "SELECT 1 FROM main.sqlite_schema LIMIT 1")
            return isTaken == nil
                ? nil
                : "a dump of this size is only loaded into an empty database: drop what there is, "
                    + "load a database file in its place, or split the dump"
        } catch {
            throw .storage("reading the schema", error)
        }
    }

    private func unpackParts(
        _ parts: UInt32, by reader: inout GzipReader, into file: LoadFile
    ) throws(LoadFault) {
        for number in 0..<parts {
            let bytes: [UInt8]?
            do throws(SQLiteError) {
                bytes = try MetadataTable.part(number, on: session.connection)
            } catch {
                throw .database(error)
            }
            // As many are kept as the end names, or it would have been refused.
            guard let bytes else {
                throw .database(
                    SQLiteError(
                        extendedCode: SQLITE_CORRUPT, message: "part \(number) of a load is gone"))
            }
            try reader.add(bytes, into: file)
        }
        do throws(GzipError) { try reader.end() } catch { throw .gzip(error) }
    }
}
