internal import CSQLite
internal import Glibc
package import Raft
internal import SQLite

/// How new generations come to be. When one of these returns, the new file is complete, in WAL mode
/// without a write-ahead log beside it, and on stable storage: the log may name it.
extension DatabaseDirectory {
    /// An empty database, for a node that has none.
    /// - Throws: `occupied` if there is a database under that name.
    package func create(_ generation: Generation, state: AppliedState = AppliedState())
        throws(DirectoryError)
    {
        guard !exists(generation) else { throw .occupied(path: file(of: generation)) }
        try publish(prepareEmpty(generation, state), as: generation)
    }

    /// - Returns: where it stands until it is published.
    private func prepareEmpty(
        _ generation: Generation, _ state: AppliedState
    ) throws(DirectoryError) -> String {
        let target = incomingFile(of: generation)
        try remove(target)
        try preparing(
            target, access: .create,
            running: { (connection) throws(SQLiteError) in
                try MetadataTable.create(on: connection, state)
            })
        return target
    }

    /// Puts an empty database in the place of a damaged one, which is kept under another name, with
    /// its write-ahead log, for whoever wants to look at it. There is a file of the generation at any
    /// moment.
    /// - Returns: where the damaged one is.
    package func setAside(_ generation: Generation, for state: AppliedState)
        throws(DirectoryError) -> String
    {
        let target = try prepareEmpty(generation, state)
        let damaged = file(of: generation)
        let (kept, isKept) = placeAside(of: generation)
        // One that was cut off may have gone on to take the log away from beside the damaged one.
        if !isKept {
            for suffix in ["-wal", ""] { try removeFile(kept + suffix) }
        }
        for suffix in ["", "-wal"] {
            guard
                link(damaged + suffix, kept + suffix) == 0 || errno == ENOENT
                    || (errno == EEXIST && isKept)
            else {
                throw .system(operation: "keeping", path: damaged + suffix, code: errno)
            }
        }
        try publish(target, as: generation)
        return kept
    }

    /// A name for a damaged file under which no other is kept: what took the place of one before it may be damaged in
    /// turn, and the rows are in that.
    /// - Returns: `isKept`: it is kept there, by a start that was cut off.
    private func placeAside(of generation: Generation) -> (path: String, isKept: Bool) {
        let damaged = Self.identity(of: file(of: generation))
        var (kept, number) = ("\(path)/damaged-\(generation).sqlite", 1)
        while let other = Self.identity(of: kept) {
            if other == damaged { return (kept, true) }
            number += 1
            kept = "\(path)/damaged-\(generation)-\(number).sqlite"
        }
        return (kept, false)
    }

    /// What tells a file from all others; nil: there is none.
    private static func identity(of path: String) -> [UInt64]? {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return nil }
        return [UInt64(facts.st_dev), UInt64(facts.st_ino)]
    }

    /// Makes a generation of the file at `incomingFile(of:)` that another node sent. It knows its
    /// own position, which must be the one announced.
    package func installSnapshot(as generation: Generation, mark: SnapshotMark, cluster: ClusterID)
        throws(DirectoryError)
    {
        try installOwn(as: generation) { (state, source) throws(DirectoryError) in
            guard state.mark == mark, state.progress == nil else {
                throw .unfit(
                    path: source,
                    reason: "it stands at \(state.position), \(mark.position) was announced")
            }
            guard state.cluster == nil || state.cluster == cluster else {
                throw .unfit(path: source, reason: "it belongs to another cluster")
            }
        }
    }

    /// Makes a generation of the file at `incomingFile(of:)`, a copy of a node's database that an archive
    /// kept. It knows its own position, which must be the one that the archive names, between two entries.
    package func installArchived(
        as generation: Generation, at position: LogPosition, of cluster: ClusterID
    ) throws(DirectoryError) {
        try installOwn(as: generation) { (state, source) throws(DirectoryError) in
            guard state.position == position, state.progress == nil, state.cluster == cluster
            else {
                throw .unfit(
                    path: source,
                    reason: "it stands at \(state.position) of "
                        + "\(state.cluster.map { "\($0)" } ?? "no cluster"), and is named as "
                        + "\(position) of \(cluster)")
            }
        }
    }

    /// Of a file that holds the daemon's own table.
    /// - Parameter judge: throws where what it says of itself is not what is expected.
    private func installOwn(
        as generation: Generation, judge: (AppliedState, String) throws(DirectoryError) -> Void
    ) throws(DirectoryError) {
        let source = incomingFile(of: generation)
        try checkHeader(source)
        try preparing(source, access: .readWrite) { (connection) throws(DirectoryError) in
            do throws(SQLiteError) {
                try MetadataTable.adopt(on: connection)
            } catch {
                throw .unfit(path: source, reason: error.message)
            }
            let state: AppliedState
            do throws(MetadataError) {
                state = try MetadataTable.read(on: connection)
            } catch {
                throw .unfit(path: source, reason: error.cause.message)
            }
            // After the table was found: a check would miss the page that is in no schema.
            try check(connection, source)
            try judge(state, source)
        }
        try publish(source, as: generation)
    }

    /// Makes a generation of the file at `incomingFile(of:)` that a client loaded. What it says of
    /// a position is replaced by `state`.
    package func installLoaded(as generation: Generation, state: AppliedState)
        throws(DirectoryError)
    {
        let source = incomingFile(of: generation)
        try checkHeader(source)
        try preparing(source, access: .readWrite) { (connection) throws(DirectoryError) in
            // An index that lacks rows would fail a later statement on every node, as if the
            // machine had damaged the file.
            try check(connection, source, by: "integrity_check")
            do throws(SQLiteError) {
                try MetadataTable.replace(on: connection, with: state)
            } catch {
                throw .database(operation: "preparing", path: source, message: error.message)
            }
        }
        try publish(source, as: generation)
    }

    /// What can be said of a file without opening it (https://sqlite.org/fileformat2.html §1.3).
    func checkHeader(_ path: String) throws(DirectoryError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .system(operation: "opening", path: path, code: errno)
        }
        var header = [UInt8](repeating: 0, count: 100)
        let count = read(descriptor, &header, header.count)
        close(descriptor)
        guard count == header.count, header.starts(with: Array("SQLite format 3\0".utf8)) else {
            throw .unfit(path: path, reason: "it is not an SQLite database file")
        }
        guard [1, 2].contains(header[18]), [1, 2].contains(header[19]) else {
            throw .unfit(path: path, reason: "its journal mode is of a newer SQLite")
        }
    }

    /// - Parameter pragma: `integrity_check` also compares indexes with their tables, which takes as
    ///   long as sorting them.
    func check(
        _ connection: borrowing Connection, _ path: String, by pragma: String = "quick_check"
    ) throws(DirectoryError) {
        do throws(SQLiteError) {
            guard let damage = try Self.damage(of: connection, by: pragma).text else { return }
            throw SQLiteError(extendedCode: SQLITE_CORRUPT, message: damage)
        } catch {
            throw .unfit(path: path, reason: error.message)
        }
    }

    /// Lines of a check that are looked at first: of pages that are damaged SQLite gathers all of them in one text.
    private static let fewVerdicts: Int64 = 100
    /// Where those are of rows that break a rule of their table: what is wrong with the file may stand behind them. A column
    /// that is added as `TEXT DEFAULT TRUE` has one for each row. More than the file has bytes no rows of clients have, but a
    /// few MB of rows of 2000 columns could; some million take a second.
    private static func mostVerdicts(
        of connection: borrowing Connection
    ) throws(SQLiteError) -> Int64 {
        let pages = try connection.integer("PRAGMA main.page_count") ?? 0
        let size = try connection.integer("PRAGMA main.page_size") ?? 0
        let (bytes, isMore) = pages.multipliedReportingOverflow(by: size)
        // SQLite takes no larger number.
        let most = Int64(Int32.max)
        return isMore ? most : min(max(bytes, 1_000_000), most)
    }

    /// - Parameter pragma: `quick_check` or `integrity_check`.
    /// - Returns: the first thing that SQLite finds wrong with the file itself; nil: nothing. Not `isAll`: rows that break a
    ///   rule of their table were too many to look behind.
    static func damage(
        of connection: borrowing Connection, by pragma: String
    ) throws(SQLiteError) -> (text: String?, isAll: Bool) {
        let setting = "PRAGMA ignore_check_constraints"
        // It is on where a client's request has it so, too.
        if try connection.integer(setting) == 1 { return try find(on: connection, by: pragma) }
        // What a CHECK says of a row is its client's doing. And one that can't be worked out, as abs() of the smallest number,
        // would end the look: such a row comes in where that setting is on.
        try connection.execute("\(setting)=ON")
        let found: (text: String?, isAll: Bool)
        do throws(SQLiteError) {
            found = try find(on: connection, by: pragma)
        } catch {
            try connection.execute("\(setting)=OFF")
            throw error
        }
        try connection.execute("\(setting)=OFF")
        return found
    }

    private static func find(
        on connection: borrowing Connection, by pragma: String
    ) throws(SQLiteError) -> (text: String?, isAll: Bool) {
        for isFirst in [true, false] {
            let most = try isFirst ? fewVerdicts : mostVerdicts(of: connection)
            let verdicts = try connection.prepare("PRAGMA \(pragma)(\(most))")
            var count: Int64 = 0
            do throws(SQLiteError) {
                while try verdicts.step() {
                    count += 1
                    if let damage = Self.damage(in: verdicts.text(at: 0) ?? noVerdict) {
                        return (damage, true)
                    }
                }
            } catch {
                // A column can't be worked out for a row, which ALTER TABLE … ADD COLUMN doesn't look for. All trees come before the
                // first row. Of an index that disagrees with its table, behind it, the statement is told that meets it.
                guard [SQLITE_ERROR, SQLITE_TOOBIG].contains(error.code) else { throw error }
                return (nil, true)
            }
            if count == 0 { return (noVerdict, true) }
            if count < most { return (nil, true) }
        }
        return (nil, false)
    }

    private static let noVerdict = "no verdict"

    /// - Returns: nil: the verdict tells of none.
    private static func damage(in verdict: String) -> String? {
        if verdict == "ok" || isAboutContent(verdict) { return nil }
        let pages = "*** in database "
        guard verdict.utf8.starts(with: pages.utf8) else { return verdict }
        // In the file of a node the page of the daemon's own table is in no schema, unless it was revealed. Later versions
        // of SQLite say it in other words.
        let hidden = [
            "Page \(CSQLITE_HIDDEN_ROOT) is never used", "Page \(CSQLITE_HIDDEN_ROOT): never used",
        ]
        let lines = verdict.split(separator: "\n").dropFirst().map { String($0) }
        return lines.first { !hidden.contains($0) }
    }

    /// Rows that break a rule of their table are no damage: a client can bring them about, with
    /// `ALTER TABLE … ADD COLUMN … DEFAULT` of another type, and a snapshot must hold them too.
    static func isAboutContent(_ verdict: String) -> Bool {
        contentVerdicts.contains { verdict.utf8.starts(with: $0.utf8) }
    }

    /// How they begin. An index with doubles may have any name: "non-unique entry in index a value in b".
    private static let contentVerdicts: [String] = {
        let types = ["ANY", "BLOB", "INT", "INTEGER", "REAL", "TEXT"].map { "non-\($0)" }
        let values = (["NULL", "NUMERIC", "TEXT"] + types).map { "\($0) value in " }
        // From SQLite 3.44 on a check looks into virtual tables. Whose content is in another table, or nowhere, is in step with
        // it as far as clients keep it so.
        let indexes = ["malformed", "unable to validate the"].flatMap { words in
            ["FTS3", "FTS4"].map { "\(words) inverted index for \($0) table " }
        }
        return values + ["CHECK constraint failed in "] + indexes
    }()

    private func preparing(
        _ path: String, access: Connection.Access,
        _ body: (borrowing Connection) throws(DirectoryError) -> Void
    ) throws(DirectoryError) {
        let connection = try openForPreparation(path, access)
        try body(connection)
        do throws(SQLiteError) {
            // Nothing may be left in a write-ahead log: only the main file is published.
            try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            guard try connection.size(of: .writeAheadLog) == 0 else {
                throw SQLiteError(extendedCode: SQLITE_BUSY, message: "the checkpoint failed")
            }
        } catch {
            throw .database(operation: "preparing", path: path, message: error.message)
        }
    }

    private func openForPreparation(_ path: String, _ access: Connection.Access)
        throws(DirectoryError) -> Connection
    {
        do throws(SQLiteError) {
            let connection = try SessionSetup.connect(
                path, access: access, functions: FunctionContext(chance: .engine))
            guard try connection.text("PRAGMA journal_mode=WAL") == "wal" else {
                throw SQLiteError(
                    extendedCode: SQLITE_ERROR, message: "it can't be put into WAL mode")
            }
            return connection
        } catch {
            throw .unfit(path: path, reason: error.message)
        }
    }

    private func preparing(
        _ path: String, access: Connection.Access,
        running body: (borrowing Connection) throws(SQLiteError) -> Void
    ) throws(DirectoryError) {
        try preparing(path, access: access) { (connection) throws(DirectoryError) in
            do throws(SQLiteError) {
                try body(connection)
            } catch {
                throw .database(operation: "preparing", path: path, message: error.message)
            }
        }
    }

    /// The contents before the name, the name before the return. A file that an interrupted change
    /// left under that name is replaced by the renaming, never deleted before.
    private func publish(_ source: String, as generation: Generation) throws(DirectoryError) {
        let target = file(of: generation)
        for suffix in ["-wal", "-shm"] { try removeFile(source + suffix) }
        try sync(source)
        // They would be taken for the new file's.
        for suffix in ["-wal", "-shm", "-journal"] { try removeFile(target + suffix) }
        guard rename(source, target) == 0 else {
            throw .system(operation: "renaming", path: source, code: errno)
        }
        try sync(path)
    }
}
