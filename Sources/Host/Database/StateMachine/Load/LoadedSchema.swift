internal import CSQLite
internal import Glibc
internal import Raft
internal import SQLite
internal import Wire

/// Judges a database file that a client wants to load: whether it is sound, and whether the daemon
/// would have let a client make each object of it.
struct LoadedSchema {
    private struct SchemaRow {
        var name: String
        /// The table or view that it belongs to; its own name, where it is one.
        var owner: String
        var sql: String
        var isVirtual: Bool
        var kind: Kind

        enum Kind {
            case tableOrIndex, view, trigger
        }
    }

    /// Objects that are made together: each such command has the steps of a request for itself.
    private static let objectsPerCommand = 16

    private let path: String
    private let directory: DatabaseDirectory

    init(of path: String, _ directory: DatabaseDirectory) {
        self.path = path
        self.directory = directory
    }

    /// For preparing, with nobody else at the file.
    /// - Parameter flag: ends what runs there; it must be there as long as the connection is used.
    static func connect(
        _ path: String, unless flag: LoadFlag
    ) throws(SQLiteError) -> Connection {
        flag.schemaIsToBeRead()
        defer { flag.schemaIsRead() }
        do throws(SQLiteError) {
            let connection = try SessionSetup.connect(
                path, access: .readWrite, functions: FunctionContext(chance: .engine),
                unless: flag)
            try connection.execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF")
            guard try connection.text("PRAGMA journal_mode=DELETE") == "delete" else {
                throw SQLiteError(extendedCode: SQLITE_ERROR, message: "it can't leave WAL mode")
            }
            return connection
        } catch {
            guard error.code == SQLITE_INTERRUPT, !flag.isRaised else { throw error }
            throw SQLiteError(
                extendedCode: SQLITE_CORRUPT, message: "its schema is too large, or has no end")
        }
    }

    /// - Parameter flag: ends it.
    /// - Throws: `DirectoryError.unfit` with the reason.
    func check(unless flag: LoadFlag) throws(DirectoryError) {
        let items: [SchemaRow]
        do throws(SQLiteError) {
            let connection = try Self.connect(path, unless: flag)
            let encoding = try connection.text("PRAGMA encoding") ?? ""
            guard encoding == "UTF-8" else {
                throw SQLiteError(
                    extendedCode: SQLITE_ERROR,
                    message:
                        "its texts are \(encoding): only databases in UTF-8 can be loaded; load "
                        + "its dump instead")
            }
            // Bytes at the end of each page that an extension of SQLite keeps for itself.
            guard try connection.read(offset: 20, count: 1) == [0] else {
                throw SQLiteError(
                    extendedCode: SQLITE_ERROR,
                    message: "its pages have room that an extension of SQLite reserved: load its "
                        + "dump instead")
            }
            items = try Self.items(connection)
            try Self.checkOwn(beside: items, of: connection)
            // Before a module is connected, which reads them.
            let virtual = items.filter(\.isVirtual).map { ByteText($0.name.loweredASCII.utf8) }
            if let strange = try ShadowTables.strange(beside: Set(virtual), on: connection) {
                throw SQLiteError(
                    extendedCode: SQLITE_ERROR, message: ShadowTables.refusal(strange))
            }
            if let name = try ShadowTables.overfull(beside: Set(virtual), on: connection) {
                throw SQLiteError(
                    extendedCode: SQLITE_ERROR, message: ShadowTables.refusal(overfull: name))
            }
            try Self.checkModules(of: items)
            try Self.checkContent(of: connection)
        } catch {
            throw .judging(error, of: path)
        }
        try replay(items, unless: flag)
    }

    /// No client can make an object with a name of SQLite's own: nothing comes in under one but what SQLite
    /// makes. Where a table counts in `sqlite_sequence`, SQLite takes the lack of it for damage.
    private static func checkOwn(beside items: [SchemaRow], of connection: borrowing Connection)
        throws(SQLiteError)
    {
        let strange = try connection.text(
            """
            SELECT name FROM main.sqlite_schema WHERE name LIKE 'sqlite\\_%' ESCAPE '\\'
            AND lower(substr(name, 1, \(MetadataTable.namePrefix.utf8.count))) <> '\(MetadataTable.namePrefix)'
            AND NOT (type = 'index' AND sql IS NULL)
            AND NOT (type = 'table' AND rootpage > 0 AND sql IN (
                'CREATE TABLE sqlite_sequence(name,seq)', 'CREATE TABLE sqlite_stat1(tbl,idx,stat)',
                'CREATE TABLE sqlite_stat2(tbl,idx,sampleno,sample)',
                'CREATE TABLE sqlite_stat3(tbl,idx,neq,nlt,ndlt,sample)',
                'CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)'))
            LIMIT 1
            """)
        if let strange {
            throw SQLiteError(
                extendedCode: SQLITE_ERROR,
                message: "\(strange) has a name of SQLite's own, and is not what SQLite makes")
        }
        guard items.contains(where: { !$0.isVirtual && SQLDump.isNumbered($0.sql) }) else { return }
        let sequence = try connection.integer(
            "SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'")
        if sequence == nil {
            throw SQLiteError(
                extendedCode: SQLITE_ERROR,
                message:
                    "it has a table with AUTOINCREMENT, but no sqlite_sequence: make another such table in it, and "
                    + "drop that")
        }
    }

    /// An index that lacks rows would fail a later statement on every node, as if the machine had
    /// damaged the file.
    private static func checkContent(of connection: borrowing Connection) throws(SQLiteError) {
        let (damage, isAll) = try DatabaseDirectory.damage(of: connection, by: "integrity_check")
        if let damage { throw SQLiteError(extendedCode: SQLITE_CORRUPT, message: damage) }
        guard isAll else {
            throw SQLiteError(
                extendedCode: SQLITE_CORRUPT,
                message:
                    "more values in it than it has bytes break a rule of their table, so whether the file is whole is not "
                    + "known: load its dump instead")
        }
    }

    /// From SQLite 3.44 on a check of the content connects virtual tables, by options that nobody has looked at.
    private static func checkModules(of items: [SchemaRow]) throws(SQLiteError) {
        for item in items where item.isVirtual {
            var sql = item.sql
            let refusal = sql.withUTF8 { SchemaRules.refusal(of: UnsafeRawBufferPointer($0)) }
            guard let refusal else { continue }
            throw SQLiteError(
                extendedCode: SQLITE_ERROR,
                message: "its \"\(item.name)\" can't be made here: \(refusal)")
        }
    }

    private static func items(_ connection: borrowing Connection) throws(SQLiteError) -> [SchemaRow]
    {
        let rows = try connection.prepare(
            """
            SELECT name, sql, type = 'table' AND rootpage = 0, tbl_name, type FROM main.sqlite_schema
            WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
            ORDER BY type <> 'table', rowid
            """)
        var items: [SchemaRow] = []
        while try rows.step() {
            guard let name = rows.validText(at: 0), let sql = rows.validText(at: 1) else {
                throw .schemaNotUTF8(rows.text(at: 0) ?? "")
            }
            // A virtual table that has a page would be taken for an ordinary one here, and not by SQLite.
            let isVirtual = makesVirtualTable(sql)
            guard isVirtual == (rows.integer(at: 2) != 0) else {
                throw SQLiteError(
                    extendedCode: SQLITE_CORRUPT,
                    message: "what the schema says of \"\(name)\" makes no such table")
            }
            items.append(
                SchemaRow(
                    name: name, owner: rows.text(at: 3) ?? "", sql: sql, isVirtual: isVirtual,
                    kind: kind(rows.text(at: 4) ?? "")))
        }
        return items
    }

    /// SQLite compares it with the text, and finds the schema damaged where they differ.
    private static func kind(_ type: String) -> SchemaRow.Kind {
        switch type {
        case "table", "index": .tableOrIndex
        case "view": .view
        default: .trigger
        }
    }

    /// - Parameter sql: an object's, as the schema has it.
    static func makesVirtualTable(_ sql: String) -> Bool {
        var copy = sql
        return copy.withUTF8 { utf8 in
            var tokens = SQLTokenizer(UnsafeRawBufferPointer(utf8))
            _ = tokens.next()
            guard case .word(let range)? = tokens.next() else { return false }
            return tokens.isKeyword(range, "VIRTUAL")
        }
    }

    /// Makes each object in an empty database, as if a client did: whatever is refused there may
    /// not come in with a file either.
    private func replay(_ items: [SchemaRow], unless flag: LoadFlag) throws(DirectoryError) {
        let scratch = DatabaseDirectory(path: "\(path)_schema")
        guard mkdir(scratch.path, 0o700) == 0 || errno == EEXIST else {
            throw .system(operation: "making", path: scratch.path, code: errno)
        }
        defer {
            DatabaseDirectory.drop(scratch.file(of: .first))
            DatabaseDirectory.drop(scratch.incomingFile(of: .first))
            rmdir(scratch.path)
        }
        DatabaseDirectory.drop(scratch.file(of: .first))
        try scratch.create(.first)
        let applier: Applier
        do throws(ApplyFault) {
            applier = try Applier(path: scratch.file(of: .first))
        } catch {
            throw .database(operation: "checking", path: path, message: "\(error)")
        }
        // Beside a virtual table each CREATE has SQLite read the whole schema again, which costs steps, and time. So what is no
        // part of one comes first; one may also take its columns from there.
        let (plain, others) = Self.divided(items)
        try replay(plain, applier, unless: flag)
        // They make the tables that they keep their rows in.
        try replay(others.filter(\.isVirtual), applier, unless: flag)
        let made = try names(applier)
        let rest = others.filter { item in
            // A trigger may have the name of a table, and is none.
            let isMade = item.kind == .tableOrIndex && made.contains(Array(item.name.utf8))
            return !item.isVirtual && !isMade
        }
        try replay(rest, applier, unless: flag)
    }

    /// - Returns: what can be made without virtual tables, and the rest, either in its order.
    private static func divided(
        _ items: [SchemaRow]
    ) -> (plain: [SchemaRow], others: [SchemaRow]) {
        let virtual = Set(items.filter(\.isVirtual).map { ByteText($0.name.loweredASCII.utf8) })
        let sizes = Set(virtual.map(\.bytes.count))
        var (plain, others): ([SchemaRow], [SchemaRow]) = ([], [])
        for item in items {
            let mayBePart = [item.name, item.owner].contains { isPart($0, of: virtual, sizes) }
            if item.isVirtual || mayBePart || item.kind == .trigger {
                others.append(item)
            } else {
                plain.append(item)
            }
        }
        return (plain, others)
    }

    /// Modules, also those of extensions, name the tables in which they keep rows after the virtual table.
    /// - Parameter sizes: of the virtual tables' names. A name may be a MB of underscores.
    private static func isPart(
        _ name: String, of virtual: Set<ByteText>, _ sizes: Set<Int>
    ) -> Bool {
        let bytes = Array(name.loweredASCII.utf8)
        return sizes.contains { size in
            size < bytes.count && bytes[size] == UInt8(ascii: "_")
                && virtual.contains(ByteText(bytes[..<size]))
        }
    }

    private func unfit(_ reason: String) -> DirectoryError { .unfit(path: path, reason: reason) }

    private func names(_ applier: Applier) throws(DirectoryError) -> Set<[UInt8]> {
        do throws(SQLiteError) {
            let rows = try applier.session.connection.prepare("SELECT name FROM main.sqlite_schema")
            var names: Set<[UInt8]> = []
            while try rows.step() { names.insert(rows.blob(at: 0)) }
            return names
        } catch {
            throw unfit(error.message)
        }
    }

    /// - Parameter flag: ends it, between two commands.
    private func replay(
        _ items: [SchemaRow], _ applier: Applier, unless flag: LoadFlag
    ) throws(DirectoryError) {
        var rest = items[...]
        while !rest.isEmpty {
            if flag.isRaised { throw unfit(LoadFault.unwanted.text) }
            let some = Array(rest.prefix(Self.objectsPerCommand))
            rest = rest.dropFirst(some.count)
            try make(some, applier)
        }
    }

    private func make(_ items: [SchemaRow], _ applier: Applier) throws(DirectoryError) {
        let command = Command(kind: .execute, statements: items.map { Statement($0.sql) })
        let result: CommandResult?
        do throws(ApplyFault) {
            result = try applier.apply(alone: command)
        } catch {
            guard case .diskFull = error else {
                throw .database(operation: "checking", path: path, message: "\(error)")
            }
            throw .system(operation: "checking", path: path, code: ENOSPC)
        }
        guard let result else { return }
        if let error = result.error { throw unfit(error) }
        for (place, statement) in result.statements.enumerated() {
            guard case .failed(let message) = statement.outcome else { continue }
            throw unfit("its \"\(items[place].name)\" can't be made here: \(message)")
        }
    }
}

extension DirectoryError {
    /// What a file is that a client wants to load; or that this node lacks a descriptor, room or a disk that works to
    /// find it out, of which no file is the cause: one that ends too early is damaged to SQLite.
    static func judging(_ error: SQLiteError, of path: String) -> DirectoryError {
        switch error.code {
        case SQLITE_CANTOPEN, SQLITE_IOERR:
            .database(operation: "checking", path: path, message: error.message)
        case SQLITE_FULL: .system(operation: "checking", path: path, code: ENOSPC)
        default: .unfit(path: path, reason: error.message)
        }
    }
}

extension SQLiteError {
    /// Names in it can't be said by clients, nor written in SQL that is UTF-8.
    static func schemaNotUTF8(_ name: String) -> SQLiteError {
        SQLiteError(
            extendedCode: SQLITE_ERROR,
            message: "what the schema says of \"\(name)\" is not UTF-8")
    }
}
