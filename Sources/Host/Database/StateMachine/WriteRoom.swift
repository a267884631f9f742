internal import CSQLite
internal import SQLite
internal import Wire

/// Bounds the room that one statement of a client may take: in the database, in temporary files and
/// in memory. What is counted is the same on every node:
///
/// - pages of the database: which there are follows from the statements, whatever the batches, the
///   restarts and the snapshots were (`WriteLimitTests` shows it);
/// - bytes of temporary files: what SQLite spills follows from the statement alone, for each sort and
///   each temporary table has a cache of its own;
/// - memory in large blocks: values, not pages.
///
/// In a batch's transaction the limit on the database is only a first look: where it is met the
/// batch is run again unit by unit, each measured by itself.
final class WriteRoom {
    private let pageCount: PreparedStatement
    private let autoVacuum: PreparedStatement
    /// What the statement may hold in temporary files, in bytes.
    private var temporary: UInt64 = 0
    /// Of the database, in bytes.
    let pageSize: UInt64
    /// What SQLite was told last.
    private var mostPages: UInt64 = 0
    private var limits = WriteLimits.initial
    /// Batches that need no look at the database's size.
    private var unlooked = 0

    /// SQLite compiles a PRAGMA anew each time it is run.
    private static let batchesPerLook = 64

    /// What one statement may hold in blocks of a size that only values have.
    private static let valueBytes: Int64 = 1 << 30
    private static let smallestValue: Int64 = 256 << 10
    /// Of a read that one node carries out alone all blocks count but for the smallest, of which there are many:
    /// registers that keep short values, and cursors of full-text tables, which keep a page for each word of a
    /// query and each segment of the index. How many of these a node has at hand already is no matter there.
    private static let smallestOfReads: Int64 = 256
    /// ALTER TABLE compiles the whole schema anew, many times over.
    private static let schemaAllocations: Int64 = 100_000_000

    private var shortagesBefore = Shortages.met
    /// What runs belongs to a query, which no other node carries out.
    var readsAlone = false

    init(_ connection: borrowing Connection) throws(SQLiteError) {
        pageCount = try connection.prepare("PRAGMA main.page_count", isPersistent: true)
        autoVacuum = try connection.prepare("PRAGMA main.auto_vacuum", isPersistent: true)
        pageSize = UInt64(clamping: try connection.integer("PRAGMA main.page_size") ?? 4096)
    }

    // MARK: The database

    /// Limits how far the database may grow from its present size.
    /// - Parameter exactly: for one unit. Otherwise for a batch: never further than for one unit,
    ///   and SQLite is told only when it makes a difference.
    func bound(_ limits: WriteLimits, exactly: Bool, on connection: borrowing Connection)
        throws(SQLiteError)
    {
        if exactly || limits != self.limits {
            unlooked = 0
        } else if unlooked > 0 {
            unlooked -= 1
            return
        }
        self.limits = limits
        guard let pages = try Self.value(of: pageCount) else { return }
        let most = min(
            pages.addingReportingOverflow(limits.growth / pageSize).partialValue,
            max(limits.database / pageSize, pages))
        let suffices = mostPages <= most && mostPages >= pages + (most - pages) / 2
        if exactly || !suffices { try tell(most, connection) }
        // What was told stays right while the database doesn't shrink: that VACUUM alone does, unless
        // a commit may. VACUUM runs in a unit of its own.
        if !exactly, try Self.value(of: autoVacuum) == 0 { unlooked = Self.batchesPerLook }
    }

    private static func value(of pragma: borrowing PreparedStatement) throws(SQLiteError) -> UInt64?
    {
        defer { pragma.reset() }
        return try pragma.step() ? UInt64(clamping: pragma.integer(at: 0)) : nil
    }

    /// Before a statement of our own that may need a page.
    func lift(on connection: borrowing Connection) throws(SQLiteError) {
        unlooked = 0
        try tell(.max, connection)
    }

    /// The database may be smaller than when it was looked at, which may have been within the transaction.
    func wasRolledBack() { unlooked = 0 }

    private func tell(_ pages: UInt64, _ connection: borrowing Connection) throws(SQLiteError) {
        guard pages != mostPages else { return }
        // More than SQLite can count is what it can count.
        let clamped = max(1, min(pages, 0xFFFF_FFFE))
        try connection.execute("PRAGMA main.max_page_count=\(clamped)")
        mostPages = pages
    }

    // MARK: A statement

    /// - Parameters:
    ///   - changesSchema: the statement is none that reads or writes rows.
    ///   - copiesDatabase: it is VACUUM.
    func begin(changesSchema: Bool, copiesDatabase: Bool) {
        shortagesBefore = .met
        temporary = copiesDatabase ? limits.copy : limits.temporary
        csqlite_limit_temporary(Int64(clamping: temporary))
        if readsAlone { return Self.limitMemoryOfRead() }
        csqlite_limit_memory(
            Self.valueBytes, Self.smallestValue, changesSchema ? Self.schemaAllocations : .max)
    }

    /// What a read may hold in memory, from here on until `csqlite_unlimit_memory`.
    static func limitMemoryOfRead() { csqlite_limit_memory(valueBytes, smallestOfReads, .max) }

    static let memoryText =
        "the statement needs more memory than the \(valueBytes >> 20) MiB that a request may take: "
        + "split it"

    static let readersText =
        "the reads of this node hold as much memory as they may together: try again later, or ask for less at "
        + "once"

    func end() {
        csqlite_unlimit_memory()
        csqlite_limit_temporary(.max)
    }

    /// Why a statement failed that met a bound which is the same on every node; nil when the failure
    /// is another, or this node's alone.
    func refusal(_ error: SQLiteError, on connection: borrowing Connection) -> Refusal? {
        switch error.code {
        case SQLITE_NOMEM where !shortagesBefore.hasLackedMemory:
            return Refusal(text: Self.memoryText)
        case SQLITE_FULL where !shortagesBefore.hasFilledDisk:
            if csqlite_temporary_exceeded() != 0 {
                return Refusal(
                    text: "the statement needs more than \(temporary) bytes of temporary "
                        + "files: split it, or raise the limit on temporary files")
            }
            // SQLite says the same when AUTOINCREMENT has come to its end. Which of the two it was can't be
            // told, so in a batch it counts as the limit, too.
            if hasExhaustedSequence(connection) { return Refusal(text: error.message) }
            return Refusal(
                text: "the database would grow by more than \(limits.growth) bytes at once, or "
                    + "beyond \(limits.database) bytes: split the request, or raise the limit on "
                    + "writes")
        default:
            return nil
        }
    }

    struct Refusal: Equatable {
        var text: String
    }

    private func hasExhaustedSequence(_ connection: borrowing Connection) -> Bool {
        guard
            let found = try? connection.integer(
                "SELECT 1 FROM main.sqlite_sequence WHERE seq = \(Int64.max) LIMIT 1")
        else { return false }
        return found == 1
    }
}
