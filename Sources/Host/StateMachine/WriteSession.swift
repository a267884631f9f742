internal import CSQLite
internal import SQLite
internal import Wire

/// The one connection that writes, with all that makes its SQL safe and the same on every node.
///
/// Transactions are its own: a client's BEGIN or COMMIT never reaches SQLite.
final class WriteSession {
    /// How a statement of a client ended.
    enum Execution {
        case finished
        /// The same on every node.
        case failed(String)
        /// It met a limit on room: the same on every node when the unit stands in a transaction of
        /// its own.
        case overLimit(String)
    }

    private let path: String
    private(set) var connection: Connection
    private(set) var compiler: StatementCompiler
    private var statements: OwnStatements
    let guardian = Guard()
    let functions = FunctionContext(chance: .entry(SeededGenerator(seed: 0, unit: 0)))
    let budget: StepBudget
    let wal = WalSize()
    private(set) var room: WriteRoom
    /// How often the disk was full before the command.
    private(set) var diskFullBefore: UInt64 = 0
    private let watch = ChangeWatch()
    private let keptStatements: Int
    private var foreignKeys = false
    private var defersForeignKeys = false
    private var flags: RequestFlags = []
    /// The open transaction put virtual tables into the schema that this connection can't see yet.
    var hasNewCatalogueRows = false

    /// The savepoint around each unit; clients can't use a name of this form.
    static let unitSavepoint = "rqlited unit"

    private struct OwnStatements {
        let begin, commit, rollback, savepoint, release, rollBackTo, resetChanges: OwnStatement

        init(_ connection: borrowing Connection) throws(SQLiteError) {
            let name = "\"\(WriteSession.unitSavepoint)\""
            begin = try OwnStatement(connection, "BEGIN IMMEDIATE")
            commit = try OwnStatement(connection, "COMMIT")
            rollback = try OwnStatement(connection, "ROLLBACK")
            savepoint = try OwnStatement(connection, "SAVEPOINT \(name)")
            release = try OwnStatement(connection, "RELEASE \(name)")
            rollBackTo = try OwnStatement(connection, "ROLLBACK TO \(name)")
            // Changes nothing but what changes() says: zero. The table has no rows.
            resetChanges = try OwnStatement(
                connection, "DELETE FROM main.\(CSQLITE_COUNTER)")
        }
    }

    private final class OwnStatement {
        let statement: PreparedStatement
        init(_ connection: borrowing Connection, _ sql: String) throws(SQLiteError) {
            statement = try connection.prepare(sql, isPersistent: true)
        }
    }

    init(path: String, limits: ApplierLimits) throws(SQLiteError) {
        self.path = path
        keptStatements = limits.keptStatements
        budget = StepBudget(steps: Int(clamping: WriteLimits.initial.steps))
        let connection = try SessionSetup.openWriter(path, functions: functions)
        compiler = StatementCompiler(
            connection: connection, guardian: guardian, capacity: keptStatements)
        statements = try OwnStatements(connection)
        room = try WriteRoom(connection)
        self.connection = connection
        try installHooks()
    }

    private func installHooks() throws(SQLiteError) {
        guardian.install(on: connection)
        budget.install(on: connection)
        functions.budget = budget
        try watch.install(on: connection)
        wal.install(on: connection)
        guardian.mayHaveVirtualTables =
            try connection.integer(
                "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0 LIMIT 1")
            != nil
        guardian.needsUnits =
            try connection.integer(
                """
                SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0
                AND (instr(lower(sql), 'fts3') OR instr(lower(sql), 'fts4')) LIMIT 1
                """) != nil
        foreignKeys = try connection.integer("PRAGMA foreign_keys") != 0
    }

    /// Opens the file anew, so that the planner starts from the statistics as they are stored.
    func reopen() throws(SQLiteError) {
        let fresh = try SessionSetup.openWriter(path, functions: functions)
        compiler = StatementCompiler(
            connection: fresh, guardian: guardian, capacity: keptStatements)
        statements = try OwnStatements(fresh)
        room = try WriteRoom(fresh)
        connection = fresh
        flags = []
        hasNewCatalogueRows = false
        try installHooks()
    }

    // MARK: Transactions

    func begin() throws(SQLiteError) { try statements.begin.statement.run() }
    func commit() throws(SQLiteError) { try statements.commit.statement.run() }

    /// Also after SQLite has ended the transaction by itself.
    func rollBack() throws(SQLiteError) {
        if !connection.isAutocommit { try statements.rollback.statement.run() }
        hasNewCatalogueRows = false
        try resetDeferral()
    }

    var isTransactionEnded: Bool { connection.isAutocommit }
    var hasDeferredViolations: Bool { connection.hasDeferredViolations }

    func openUnit() throws(SQLiteError) { try statements.savepoint.statement.run() }

    /// Ends the unit's savepoint, keeping its changes or not.
    func closeUnit(keeping: Bool) throws(SQLiteError) {
        if keeping {
            if guardian.mayHaveVirtualTables { try flushVirtualTables() }
            try announceCatalogueRows()
        } else {
            try statements.rollBackTo.statement.run()
            hasNewCatalogueRows = false
        }
        try statements.release.statement.run()
        try resetDeferral()
    }

    /// Full-text modules keep what is new in memory until a savepoint or COMMIT, and then write it
    /// with statements that show in changes(). So that this happens at the end of a unit whatever
    /// comes after it, a savepoint is made there.
    private func flushVirtualTables() throws(SQLiteError) {
        try connection.execute("SAVEPOINT flush; RELEASE flush")
    }

    private func resetDeferral() throws(SQLiteError) {
        guard defersForeignKeys else { return }
        defersForeignKeys = false
        try connection.execute("PRAGMA defer_foreign_keys=OFF")
    }

    // MARK: Session state

    /// Nothing that an earlier command left can be seen by the next.
    func beginCommand(_ progress: EntryProgress, settings: ClusterSettings) throws(SQLiteError) {
        diskFullBefore = csqlite_disk_full_count()
        budget.allow(steps: settings.limits.steps)
        budget.used = progress.steps
        try setForeignKeys(progress.foreignKeys ?? settings.foreignKeys)
        try setFlags(progress.flags)
        try statements.resetChanges.statement.run()
        if progress.changes > 0 { try restoreChanges(progress.changes) }
        connection.setLastInsertRowid(progress.lastInsertRowid)
        functions.totalChangesBase = connection.totalChanges - progress.totalChanges
    }

    func recordSession(in progress: inout EntryProgress) {
        progress.steps = budget.used
        progress.changes = connection.changes
        progress.lastInsertRowid = connection.lastInsertRowid
        progress.totalChanges = connection.totalChanges - functions.totalChangesBase
    }

    /// Makes changes() say what it said before a restart: SQLite only lets it be set by counting as
    /// many rows, here into a table that forgets them.
    private func restoreChanges(_ count: Int64) throws(SQLiteError) {
        try connection.execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
            INSERT INTO main.\(CSQLITE_COUNTER) SELECT i FROM n
            """)
    }

    /// Runs VACUUM. As in SQLite it leaves no trace in the counters.
    func vacuum<Result>(_ body: () throws(ApplyFault) -> Result) throws(ApplyFault) -> Result {
        let rowid = connection.lastInsertRowid
        let changes = connection.changes
        let visible = connection.totalChanges - functions.totalChangesBase
        let result = try MetadataTable.whileListed(on: connection, body)
        do throws(SQLiteError) {
            try statements.resetChanges.statement.run()
            if changes > 0 { try restoreChanges(changes) }
        } catch {
            throw .storage("ending VACUUM", error)
        }
        connection.setLastInsertRowid(rowid)
        functions.totalChangesBase = connection.totalChanges - visible
        return result
    }

    /// At the borders of units, where no violation is pending.
    func setForeignKeys(_ isOn: Bool) throws(SQLiteError) {
        guard isOn != foreignKeys else { return }
        try connection.configure(SQLITE_DBCONFIG_ENABLE_FKEY, isOn)
        foreignKeys = isOn
    }

    /// What other PRAGMAs switch for the request.
    func setFlags(_ new: RequestFlags) throws(SQLiteError) {
        try RequestFlags.change(from: flags, to: new, on: connection)
        guardian.acceptsCatalogueRows = new.contains(.writableSchema)
        flags = new
    }

    func setDeferForeignKeys(_ isOn: Bool) throws(SQLiteError) {
        try connection.execute("PRAGMA defer_foreign_keys=\(isOn ? "ON" : "OFF")")
        defersForeignKeys = defersForeignKeys || isOn
    }

    /// Limits how far the database may grow: by a batch, or exactly for one unit.
    func boundRoom(_ limits: WriteLimits, exactly: Bool) throws(SQLiteError) {
        try room.bound(limits, exactly: exactly, on: connection)
    }

    // MARK: Clients' statements

    /// Runs a bound statement to its end; `visit` sees it at each row, and once at the end with
    /// false. Failures of the machine are thrown. The statement is reset, also after a failure.
    func run(
        _ compiled: CompiledStatement, stopsAtFirstRow: Bool,
        visit: (borrowing PreparedStatement, Bool) -> Void
    ) throws(ApplyFault) -> Execution {
        guardian.clearDenial()
        guardian.refusesNodeLocal = !compiled.isReadOnly
        functions.refusesNodeLocal = !compiled.isReadOnly
        watch.begin(previousRowid: connection.lastInsertRowid)
        budget.start(
            compiled.statement, on: connection.pointer, all: guardian.mayHaveVirtualTables)
        guardian.subject = compiled.facts.keyword == .vacuum ? .vacuum : .client
        room.begin(changesSchema: !compiled.isReadOnly && compiled.facts.keyword != .data)
        defer {
            room.end()
            compiled.statement.reset()
            compiled.statement.clearBindings()
            guardian.subject = .daemon
            guardian.refusesNodeLocal = false
            budget.stop()
        }
        // What stood before it in the request took all there was.
        if budget.isExhausted { return .failed(budget.text) }
        do throws(SQLiteError) {
            while try compiled.statement.step() {
                visit(compiled.statement, true)
                if stopsAtFirstRow { break }
            }
            visit(compiled.statement, false)
            return .finished
        } catch {
            if budget.isExhausted { return .failed(budget.text) }
            if let refusal = room.refusal(error, on: connection) {
                return .overLimit(refusal.text)
            }
            let fault = ApplyFault.judging(
                error, during: "applying a statement", on: connection,
                diskFullBefore: diskFullBefore)
            if let fault { throw fault }
            return .failed(guardian.explaining(error).message)
        }
    }

    /// ANALYZE of the whole database, in place of PRAGMA optimize.
    func analyze() throws(SQLiteError) {
        try connection.execute("ANALYZE")
    }

    /// Why the statement that just ran must be undone, or nil.
    func refusalOfRowids() throws(SQLiteError) -> String? {
        guard let table = try watch.tableWithRandomRowid(on: connection) else { return nil }
        return "table \(table) holds the largest possible rowid: give new rows a rowid of their "
            + "own, SQLite would draw random ones"
    }

    /// Random rowids can only be drawn for tables of which this is known.
    var mayDrawRowids: Bool { !watch.exhausted.isEmpty }

    func schemaMayHaveChanged() throws(ApplyFault) {
        do throws(SQLiteError) {
            try watch.schemaChanged(on: connection)
        } catch {
            throw .storage("looking for the largest rowid", error)
        }
    }

    /// The rowid that the INSERT just run gave to its last row; zero when it inserted none.
    func insertedRowid(previous: Int64) -> Int64 {
        let rowid = connection.lastInsertRowid
        return rowid != previous || watch.insertedPrevious ? rowid : 0
    }
}
