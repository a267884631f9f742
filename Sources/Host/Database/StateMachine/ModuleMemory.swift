internal import CSQLite
internal import SQLite

/// What modules of virtual tables keep in memory beside the database file, kept from showing in what a
/// statement does, and in what it is charged: pages that one connection asks for and another has no
/// need to.
///
/// - FTS5 reads the list of its segments, and its options, when they are first needed, and forgets them
///   at some commands. A query that finds nothing makes it read them before each statement that names
///   the table, on every node, and outside of what is counted.
/// - FTS3 and FTS4 read once whether to merge by themselves, when they first write what is new. Those
///   pages are told apart by the statement that asks for them, and left out.
/// - An R-Tree remembers, from the row that it put in last, at which heights nodes that overflow are
///   split, and goes by that when it puts the rows of a node elsewhere that has become too small. A new
///   connection begins with another height: the trees would differ, and with them the order of rows. So
///   the tables are connected anew before anything is taken out of a tree that was written.
///
/// It also knows which tables of FTS5 would keep more in memory than a node has to have.
/// Owned by the session; not thread-safe.
final class ModuleMemory {
    private final class Query {
        let statement: PreparedStatement
        init(_ statement: consuming PreparedStatement) { self.statement = statement }
    }

    private struct Table {
        var key: ByteText
        var name: String
    }

    /// Tables of FTS5 whose shadow tables are ordinary ones, in the order of the schema.
    private var fullText: [Table] = []
    private var queries: [ByteText: Query] = [:]
    /// Tables over the index of another one, in lower case.
    private var vocabularies: Set<ByteText> = []
    /// R-Trees, in lower case.
    private(set) var trees: Set<ByteText> = []
    /// Triggers that may replace rows, in lower case; none where there are no R-Trees.
    private(set) var replacingTriggers: Set<ByteText> = []
    /// One of them was written since they were connected.
    private(set) var treesWereWritten = false
    /// Tables of FTS5, in lower case, whose stored `hashsize` is beyond its limit, or whose shadow tables
    /// are not those that FTS5 makes: dumps and loaded files bring it unseen.
    private(set) var oversized: Set<ByteText> = []
    /// How long the prefixes of words are that have an index of their own in some full-text table, ascending.
    private var prefixes: [Int16] = []
    private let watch: UnsafeMutablePointer<csqlite_module_watch>

    init() {
        watch = .allocate(capacity: 1)
        watch.initialize(to: csqlite_module_watch())
    }

    /// The connection must not run a statement any more.
    deinit { watch.deallocate() }

    static let oversizedText =
        "the option hashsize of a full-text table is at most \(csqlite_most_pending >> 20) MiB: so much "
        + "of what is new it keeps in memory; and the table that holds it must be as FTS5 makes it"

    // MARK: The schema

    /// Finalizes what stands in the way of disconnecting the tables: before the schema is read anew.
    func forgetQueries() { queries.removeAll(keepingCapacity: true) }

    /// The schema was read.
    /// - Parameter tables: the virtual ones.
    func learn(_ tables: [(name: String, sql: String)], on connection: borrowing Connection)
        throws(SQLiteError)
    {
        forgetQueries()
        fullText.removeAll(keepingCapacity: true)
        vocabularies.removeAll(keepingCapacity: true)
        trees.removeAll(keepingCapacity: true)
        replacingTriggers.removeAll(keepingCapacity: true)
        treesWereWritten = false
        oversized.removeAll(keepingCapacity: true)
        var lengths: Set<Int16> = []
        for (name, sql) in tables {
            let key = ByteText(name.loweredASCII.utf8)
            let module = Self.module(of: sql)
            if module.utf8.starts(with: "fts".utf8) { lengths.formUnion(Self.prefixes(in: sql)) }
            switch module {
            case "fts5": fullText.append(Table(key: key, name: name))
            case "fts5vocab": vocabularies.insert(key)
            case "rtree", "rtree_i32", "geopoly": trees.insert(key)
            default: break
            }
        }
        prefixes = lengths.sorted()
        if !trees.isEmpty {
            replacingTriggers = try names(
                "type = 'trigger' AND instr(upper(sql), 'REPLACE')", on: connection)
        }
        if !fullText.isEmpty { try judgeFullText(on: connection) }
    }

    /// Which full-text tables may be read: those whose rows and index lie in tables as FTS5 makes them, and are not
    /// too large.
    private func judgeFullText(on connection: borrowing Connection) throws(SQLiteError) {
        var strange: Set<ByteText> = []
        var shadows: Set<ByteText> = []
        for (suffix, columns) in Self.shadowTables {
            shadows.formUnion(
                try names(
                    """
                    type = 'table' AND rootpage > 0
                    AND substr(name, -\(suffix.utf8.count)) = '\(suffix)' COLLATE NOCASE
                    AND substr(sql, -\(columns.utf8.count)) = '\(columns)'
                    """, on: connection))
        }
        for table in fullText {
            let areOwn = Self.shadowTables.allSatisfy { (suffix, _) in
                shadows.contains(ByteText("\(table.name.loweredASCII)\(suffix)".utf8))
            }
            if !areOwn {
                // What a dump has put in their place may run for ever when it is read.
                strange.insert(table.key)
                oversized.insert(table.key)
            } else if try isOversized(table.name, on: connection) {
                oversized.insert(table.key)
            }
        }
        fullText.removeAll { strange.contains($0.key) }
    }

    /// Those that matter of the tables that FTS5 makes for each of its own, and how SQLite stores them.
    private static let shadowTables = [
        ("_config", "(k PRIMARY KEY, v) WITHOUT ROWID"),
        ("_data", "(id INTEGER PRIMARY KEY, block BLOB)"),
        ("_idx", "(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID"),
    ]

    /// Of the text of CREATE VIRTUAL TABLE, as SQLite stores it; in lower case.
    static func module(of sql: String) -> String {
        var copy = sql
        return copy.withUTF8 { bytes in
            var tokens = SQLTokenizer(UnsafeRawBufferPointer(bytes))
            // No name without quotes is such a word.
            while let token = tokens.next() {
                if case .word(let range) = token, tokens.isKeyword(range, "USING") { break }
            }
            switch tokens.next() {
            case .word(let range), .quoted(let range): return tokens.lowercased(range)
            default: return ""
            }
        }
    }

    /// What the option `prefix` says, whose name FTS5 also takes abbreviated.
    private static func prefixes(in sql: String) -> Set<Int16> {
        var copy = sql
        return copy.withUTF8 { bytes in
            var tokens = SQLTokenizer(UnsafeRawBufferPointer(bytes))
            var lengths: Set<Int16> = []
            while let token = tokens.next() {
                guard case .word(let name) = token,
                    "prefix".utf8.starts(with: tokens.lowercased(name).utf8)
                else { continue }
                var following = tokens
                guard following.next() == .other(UInt8(ascii: "=")) else { continue }
                switch following.next() {
                case .word(let range), .quoted(let range):
                    lengths.formUnion(numbers(in: following.lowercased(range)))
                case .semicolon, .other, nil: break
                }
            }
            return lengths
        }
    }

    private static func numbers(in text: String) -> [Int16] {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        return text.utf8.split { !digits.contains($0) }
            .compactMap { Int16(String(decoding: $0, as: UTF8.self)) }
            // SQLite takes no others.
            .filter { (1...999).contains($0) }
    }

    /// Objects of the schema, in lower case.
    private func names(_ condition: String, on connection: borrowing Connection)
        throws(SQLiteError) -> Set<ByteText>
    {
        let objects = try connection.prepare(
            "SELECT name FROM main.sqlite_schema WHERE \(condition)")
        var names: Set<ByteText> = []
        while try objects.step() {
            names.insert(ByteText((objects.text(at: 0) ?? "").loweredASCII.utf8))
        }
        return names
    }

    private func isOversized(_ name: String, on connection: borrowing Connection)
        throws(SQLiteError) -> Bool
    {
        do throws(SQLiteError) {
            // FTS5 takes the lower 32 bits of a number, or of a text that is one.
            return try connection.integer(
                """
                SELECT 1 FROM main.\("\(name)_config".quotedName) WHERE lower(k) = 'hashsize'
                AND CAST(v AS INTEGER) NOT BETWEEN -2147483648 AND \(csqlite_most_pending) LIMIT 1
                """) != nil
        } catch {
            // Who uses it meets with the damage.
            if error.extendedCode & 0xFF == SQLITE_CORRUPT { return false }
            throw error
        }
    }

    // MARK: A statement

    /// A statement ran that writes R-Trees.
    func noteWrittenTrees() { treesWereWritten = true }

    /// Full-text tables that may hold something new in memory, in lower case.
    private var holding: Set<ByteText> = []
    /// Each of them holds up to `csqlite_most_pending`, so many at most from one statement to the next.
    private static let mostHolding = 16
    /// And so many in one statement.
    private static let mostWritten = 32

    /// All that is new was written.
    func nothingIsHeld() { holding.removeAll(keepingCapacity: true) }

    /// Nothing is held, and nothing was refused of a statement that ran before: the next may be refused without a run.
    func unitBegins() {
        nothingIsHeld()
        clearRefusal()
    }

    /// Why a statement that writes these full-text tables is refused in words for the client; nil when it isn't.
    static func refusal(ofWriting tables: Set<ByteText>) -> String? {
        guard tables.count > mostWritten else { return nil }
        return
            "too many full-text tables: a statement, with its triggers, writes at most \(mostWritten)"
    }

    /// Whether what is held must be written before a statement that writes these tables as well.
    func isFull(beside tables: Set<ByteText>) -> Bool {
        !holding.isEmpty && holding.union(tables).count > Self.mostHolding
    }

    /// A statement that writes these tables is about to run.
    func hold(_ tables: Set<ByteText>) { holding.formUnion(tables) }

    /// Why a statement is refused in words for the client.
    static let shrinkingBesideDumpText =
        "taking rows out of an R-Tree must wait until the virtual tables of the dump are committed"

    /// Makes the modules of these tables read what a statement would read of them first.
    /// - Returns: how many tables were asked, which follows from the statement and the schema.
    /// - Throws: for want of memory.
    func warm(_ tables: Set<ByteText>, on connection: borrowing Connection) throws(SQLiteError)
        -> Int
    {
        guard !fullText.isEmpty else { return 0 }
        let shortages = Shortages.met
        csqlite_find_nothing(1)
        defer { csqlite_find_nothing(0) }
        let all = !tables.isDisjoint(with: vocabularies)
        var count = 0
        for table in fullText where all || tables.contains(table.key) {
            count += 1
            do throws(SQLiteError) {
                try query(table, on: connection).statement.run()
            } catch {
                // The table is damaged: the statement itself meets with it, and is told.
                queries[table.key] = nil
                if error.code == SQLITE_NOMEM, shortages.hasLackedMemory { throw error }
            }
        }
        return count
    }

    private func query(_ table: Table, on connection: borrowing Connection)
        throws(SQLiteError) -> Query
    {
        if let kept = queries[table.key] { return kept }
        // The word is of no matter.
        let query = Query(
            try connection.prepare(
                "SELECT 1 FROM main.\(table.name.quotedName)('0') LIMIT 1", isPersistent: true))
        queries[table.key] = query
        return query
    }

    /// From here on words cost by their prefixes as well, or don't. Said of each statement: what was said of the last one
    /// a node that has just started doesn't know.
    /// - Parameter writes: the statement that is about to run writes virtual tables; else no words come into memory.
    func countPrefixes(ofStatementThatWrites writes: Bool) {
        (writes ? prefixes : []).withUnsafeBufferPointer {
            csqlite_set_prefixes($0.baseAddress, Int32($0.count))
        }
    }

    /// From here on the statements that modules run are looked at.
    /// - Parameter client: the statement that is about to run.
    func beginWatch(_ client: borrowing PreparedStatement, on connection: borrowing Connection) {
        csqlite_watch_modules(watch, connection.pointer, client.pointer)
    }

    func endWatch() { csqlite_end_module_watch(watch) }

    /// Pages that are not to be charged, since the watch began; modulo 2^32.
    var uncharged: UInt32 { watch.pointee.pages }

    /// The statement would have set an option beyond its limit; until the next watch begins.
    var isRefused: Bool { watch.pointee.is_refused != 0 }

    /// Nothing was refused yet.
    func clearRefusal() { watch.pointee.is_refused = 0 }
}
