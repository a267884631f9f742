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
    /// Of the table or view that has most, or a few more.
    private(set) var mostColumns = 0

    /// What it takes to work out all views, in allocations, once it was asked for (`WriteSession.chargeViews`).
    var viewAllocations: Int64?

    /// The last row of the schema that was looked at.
    private var lastRow = Int64.min

    var isEmpty: Bool { bytes.isEmpty }

    init() {}

    /// Those of the schema in the file.
    init(on connection: borrowing Connection) throws(SQLiteError) { try extend(on: connection) }

    /// With those of objects that were added since, where none is gone or another one: a new object gets
    /// the last row of the schema.
    mutating func extend(on connection: borrowing Connection) throws(SQLiteError) {
        viewAllocations = nil
        let objects = try connection.prepare(
            """
            SELECT name, tbl_name, type, sql, rowid, type = 'table' AND rootpage = 0
            FROM main.sqlite_schema
            WHERE sql IS NOT NULL AND rowid > ? ORDER BY rowid
            """)
        try objects.bind(lastRow, at: 1)
        while try objects.step() {
            lastRow = objects.integer(at: 4)
            let size = objects.blob(at: 3).withUnsafeBytes { StatementSize(stored: $0) }
            constants += size.constants
            schemaSize.add(
                bytes: objects.byteCount(at: 3, isText: false), uniques: size.cost.uniques,
                isVirtual: objects.integer(at: 5) != 0, isTrigger: objects.text(at: 2) == "trigger")
            switch objects.text(at: 2) {
            case "table": mostColumns = max(mostColumns, size.cost.commas.inner + 1)
            case "view": mostColumns = max(mostColumns, size.cost.commas.outer + 1)
            default: break
            }
            let literals = size.literalBytes
            guard literals > 0 else { continue }
            add(literals, to: objects.text(at: 0))
            if objects.text(at: 2) == "index" { add(literals, to: objects.text(at: 1)) }
            total += literals
        }
    }

    private mutating func add(_ count: Int64, to name: String?) {
        bytes[ByteText((name ?? "").loweredASCII.utf8), default: 0] += count
    }

    /// Zero for what has none.
    func bytes(of name: String) -> (key: ByteText, count: Int64) {
        let key = ByteText(name.loweredASCII.utf8)
        return (key, bytes[key] ?? 0)
    }
}

extension Guard {
    /// Learns of the objects that what is compiled names, or is compiled for: a view or trigger in which
    /// it stands.
    func noteLiterals(_ request: Request) {
        note(storedLiterals.bytes(of: request.name))
        if let context = request.trigger {
            note(storedLiterals.bytes(of: String(cString: context)))
        }
    }

    private func note(_ literals: (key: ByteText, count: Int64)) {
        guard literals.count > 0, facts.literalOwners.insert(literals.key).inserted else { return }
        facts.storedLiteralBytes += literals.count
    }

    /// A check of the database computes what it has, whatever the tables are.
    func noteAllLiterals() { facts.storedLiteralBytes = storedLiterals.total }
}
