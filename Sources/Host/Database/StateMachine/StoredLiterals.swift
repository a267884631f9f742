internal import CSQLite
internal import SQLite

/// Large literals in the text of the schema: in views and triggers, and in the defaults, checks, generated
/// columns and indexes of tables. A step of whatever statement uses them may go through them, as through
/// what stands in its own text. And how many literals there are, large or not: see
/// `StatementSize.mostFactored`.
struct StoredLiterals {
    /// By the objects, in lower case; those of an index also by its table.
    private var bytes: [ByteText: Int64] = [:]
    /// Of all objects.
    private(set) var total: Int64 = 0
    /// Numbers and texts of all objects, whatever their length.
    private(set) var constants = 0
    /// Of all objects.
    private(set) var schemaSize = SchemaSize()
    private(set) var names = SchemaNames()
    /// Of the table or view that has most, or of what has more within a view or trigger; or a few more.
    private(set) var mostColumns = 0
    /// The names in views and triggers, of the former and the latter in lower case.
    private var lookups: [(owner: ByteText, count: ColumnLookups.Count)] = []
    /// Those that are worth a charge among the columns of the widest table.
    private var costlyLookups: [ByteText: ColumnLookups.Count] = [:]
    /// So many steps are little beside what it takes to compile a view or trigger at all.
    private static let freeLookupSteps = 1000

    /// Tables and views that clients called as modules of SQLite's are, in lower case: under these names SQLite finds them.
    private(set) var likeModules: Set<ByteText> = []

    /// What it takes to work out all views, in allocations, once it was asked for (`WriteSession.chargeViews`).
    var viewAllocations: Int64?

    /// The last row of the schema that was looked at.
    private var lastRow = Int64.min

    var isEmpty: Bool { bytes.isEmpty && costlyLookups.isEmpty }

    init() {}

    /// Those of the schema in the file.
    init(on connection: borrowing Connection) throws(SQLiteError) { try extend(on: connection) }

    /// With those of objects that were added since, where none is gone or another one: a new object gets
    /// the last row of the schema.
    mutating func extend(on connection: borrowing Connection) throws(SQLiteError) {
        viewAllocations = nil
        let objects = try connection.prepare(
            """
            SELECT name, tbl_name, type, sql, rowid, type = 'table' AND rootpage = 0, sql IS NULL
            FROM main.sqlite_schema
            WHERE rowid > ? ORDER BY rowid
            """)
        try objects.bind(lastRow, at: 1)
        let (columns, first) = (mostColumns, lookups.count)
        while try objects.step() {
            lastRow = objects.integer(at: 4)
            let (name, owner, type) = (
                objects.text(at: 0), objects.text(at: 1), objects.text(at: 2)
            )
            names.add(name ?? "", type: type, owner: owner ?? "")
            // An index that SQLite makes for a constraint.
            if objects.integer(at: 6) != 0 { continue }
            let sql = objects.blob(at: 3)
            let size = sql.withUnsafeBytes { StatementSize(stored: $0) }
            constants += size.constants
            if size.cost.references > 0 { sql.withUnsafeBytes { names.addParents(of: $0) } }
            if type == "trigger" {
                sql.withUnsafeBytes { names.addListed(of: $0, owner: owner ?? "") }
            }
            schemaSize.add(
                bytes: objects.byteCount(at: 3, isText: false), tokens: size.tokens,
                uniques: size.cost.uniques,
                isVirtual: objects.integer(at: 5) != 0, isTrigger: type == "trigger")
            switch type {
            case "table": mostColumns = max(mostColumns, size.cost.commas.inner + 1)
            case "view": mostColumns = max(mostColumns, size.cost.commas.outer + 1)
            default: break
            }
            if type == "view" || type == "table" {
                let key = Self.key(of: name)
                if Self.isModule(key) { likeModules.insert(key) }
            }
            if type == "view" || type == "trigger" {
                let found = sql.withUnsafeBytes { ColumnLookups($0) }
                mostColumns = max(mostColumns, found.widest)
                lookups.append((Self.key(of: name), found.count))
            }
            let literals = size.literalBytes
            guard literals > 0 else { continue }
            add(literals, to: name)
            if type == "index" { add(literals, to: owner) }
            total += literals
        }
        schemaSize.fullestList = names.fullest
        noteLookups(from: first, whenWiderThan: columns)
    }

    private mutating func add(_ count: Int64, to name: String?) {
        bytes[Self.key(of: name), default: 0] += count
    }

    /// In wider tables all cost more than they did.
    private mutating func noteLookups(from first: Int, whenWiderThan columns: Int) {
        let isWider = mostColumns > columns
        if isWider { costlyLookups = [:] }
        for (owner, count) in lookups[(isWider ? 0 : first)...]
        where count.steps(columns: mostColumns) > Self.freeLookupSteps {
            costlyLookups[owner, default: ColumnLookups.Count()].add(count)
        }
    }

    /// Whether SQLite may have a table of the name, in lower case, that is in no schema.
    private static func isModule(_ key: ByteText) -> Bool {
        key == ByteText("dbstat".utf8) || key.bytes.starts(with: "pragma_".utf8)
    }

    /// Whether a text has the name of such a table or view behind that of another schema, TEMP or one that isn't there: it is not
    /// found there, and then SQLite takes its module. What stands in the schema can't name another one.
    ///
    /// Only the statement's own tokens are looked at: a text may hold a million statements.
    /// - Parameter sql: begins with the statement.
    func reachesModules(_ sql: UnsafeRawBufferPointer) -> Bool {
        guard !likeModules.isEmpty else { return false }
        var tokens = SQLTokenizer(sql)
        var trigger = TriggerRule()
        var hasBegun = false
        var name: Range<Int>?
        var schema: Range<Int>?
        while let token = tokens.next() {
            if token == .semicolon {
                guard hasBegun else { continue }
                if trigger.endsStatement(at: &tokens) { break }
            } else if !hasBegun {
                hasBegun = true
                if case .word(let range) = token { trigger.begin(with: range, &tokens) }
            }
            switch token {
            case .word(let range), .quoted(let range):
                if let schema, tokens.lowercased(schema) != "main",
                    likeModules.contains(ByteText(tokens.lowercased(range).utf8))
                {
                    return true
                }
                name = range
                schema = nil
            case .other(UInt8(ascii: ".")):
                schema = name
                name = nil
            case .semicolon, .other:
                name = nil
                schema = nil
            }
        }
        return false
    }

    private static func key(of name: String?) -> ByteText {
        ByteText((name ?? "").loweredASCII.utf8)
    }

    /// What is known of an object.
    struct Found {
        var key: ByteText
        /// Of its large literals.
        var bytes: Int64
        var lookups: ColumnLookups.Count

        var isNothing: Bool { bytes == 0 && lookups == ColumnLookups.Count() }
    }

    func found(of name: String) -> Found {
        let key = Self.key(of: name)
        return Found(
            key: key, bytes: bytes[key] ?? 0, lookups: costlyLookups[key] ?? ColumnLookups.Count())
    }
}

extension Guard {
    /// Learns of the objects that what is compiled names, or is compiled for: a view or trigger in which
    /// it stands.
    func noteLiterals(_ request: Request) {
        note(storedLiterals.found(of: request.name))
        if let context = request.trigger {
            note(storedLiterals.found(of: String(cString: context)))
        }
    }

    /// Counts a name that was found in a column, by the tables in whose columns it was looked for, or more: by the most
    /// that a SELECT of the text, or of the view or trigger in which it stands, reads.
    /// - Returns: why the statement is refused, in words for the client; nil when it isn't.
    func noteName(_ request: Request) -> String? {
        // What is compiled anew while it runs was looked at before.
        guard !isRunning else { return nil }
        var tables = tablesOfText
        if !storedLiterals.isEmpty, let context = request.trigger {
            tables = max(tables, storedLiterals.found(of: String(cString: context)).lookups.tables)
        }
        facts.foundNames += tables
        return facts.foundNames > mostFoundNames ? ColumnLookups.tooManyText : nil
    }

    private func note(_ found: StoredLiterals.Found) {
        guard !found.isNothing, facts.literalOwners.insert(found.key).inserted else { return }
        facts.storedLiteralBytes += found.bytes
        facts.storedLookups.add(found.lookups)
        boundPlans(found.lookups.planned)
    }

    /// What is about to be compiled may take so many steps for planning its joins.
    func boundPlans(of count: ColumnLookups.Count, steps: Int, textBytes: Int) {
        planBound = (steps, CompilationMemory.free(textBytes: textBytes))
        boundPlans(count.planned)
    }

    /// SQLite reports nothing while it plans joins: where they take long it may allocate less from here on.
    private func boundPlans(_ stepsPerAllocation: Int) {
        guard stepsPerAllocation > 0, !isRunning else { return }
        csqlite_lessen_allocations(planBound.free + Int64(planBound.steps / stepsPerAllocation))
    }

    /// A check of the database computes what it has, whatever the tables are.
    func noteAllLiterals() { facts.storedLiteralBytes = storedLiterals.total }
}
