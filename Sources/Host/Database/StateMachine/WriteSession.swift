import Chance
import Time

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

    let connection: Connection
    let compiler: StatementCompiler
    private let statements: OwnStatements
    let guardian = Guard()
    let functions = FunctionContext(chance: .entry(SplitMix64(seed: 0, unit: 0)))
    let budget: StepBudget
    let wal = WalSize()
    let room: WriteRoom
    /// What the thread had met before the command.
    private(set) var shortagesBefore = Shortages.met
    private let watch = ChangeWatch()
    let trace = RowTrace()
    let modules = ModuleMemory()
    /// SQLite's extended code for the last statement of a client; OK when it did not fail.
    private var failureCode = SQLITE_OK
    var schema = SchemaMemory()
    private var views = ViewNames()
    /// The schema as the last statement of the command was compiled against it.
    private(set) var compiledAgainst = SchemaSize()
    /// The open unit may have changed the schema.
    var unitChangesSchema = false
    private var foreignKeys = false
    private var defersForeignKeys = false
    private var flags: RequestFlags = []
    /// The open transaction put virtual tables into the schema that this connection can't see yet.
    var hasNewCatalogueRows = false {
        didSet { if !hasNewCatalogueRows { guardian.catalogueNames = [] } }
    }

    /// Until then what SQLite calls damage is a disagreeing index without another look; see `hasWholeTrees`.
    var lookAgainAt: MonotonicTime?

    /// The open unit wrote statistics, which other connections must read anew.
    private var hasNewStatistics = false

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
                connection, "DELETE FROM main.\(CSQLITE_COUNTER) WHERE 0")
        }
    }

    private final class OwnStatement {
        let statement: PreparedStatement
        init(_ connection: borrowing Connection, _ sql: String) throws(SQLiteError) {
            statement = try connection.prepare(sql, isPersistent: true)
        }
    }

    init(path: String, limits: ApplierLimits) throws(SQLiteError) {
        budget = StepBudget(steps: Int(clamping: WriteLimits.initial.steps))
        let connection = try SessionSetup.openWriter(path, functions: functions)
        compiler = StatementCompiler(
            connection: connection, guardian: guardian, capacity: limits.keptStatements)
        statements = try OwnStatements(connection)
        room = try WriteRoom(connection)
        self.connection = connection
        try installHooks()
    }

    private func installHooks() throws(SQLiteError) {
        guardian.install(on: connection)
        budget.install(on: connection)
        functions.budget = budget
        budget.modules = modules
        watch.install(on: connection)
        wal.install(on: connection)
        try schemaWasRead()
        try learnUnits()
        foreignKeys = try connection.integer("PRAGMA foreign_keys") != 0
    }

    func learnUnits() throws(SQLiteError) {
        guardian.needsUnits =
            try connection.integer(
                """
                SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0
                AND (instr(lower(sql), 'fts3') OR instr(lower(sql), 'fts4')) LIMIT 1
                """) != nil
    }

    /// Another database stands in the file: nothing that was known of it holds.
    func databaseWasReplaced() throws(SQLiteError) {
        compiler.forget()
        modules.forgetQueries()
        lookAgainAt = nil
        try connection.execute("PRAGMA writable_schema=RESET")
        try schemaWasRead()
        try learnUnits()
    }

    // MARK: The schema in memory

    /// Makes what SQLite has in memory what it would read from the file, as far as it matters for
    /// compiling a statement: before each one of a client. True when it was read anew, and what was
    /// compiled before is void.
    /// - Parameter inOrder: also the order in which SQLite goes through it.
    func refreshSchema(inOrder: Bool = false) throws(SQLiteError) -> Bool {
        // Rows of the schema that a dump writes become tables when all of them are there.
        guard schema.freshness > (inOrder ? .asRead : .extended), !hasNewCatalogueRows else {
            return false
        }
        // What full-text modules have not written yet would be lost with their objects in memory.
        if guardian.mayHaveVirtualTables, !connection.isAutocommit { try flushVirtualTables() }
        compiler.forget()
        modules.forgetQueries()
        // The only words that make SQLite drop all that it has read, also in a transaction.
        try connection.execute("PRAGMA writable_schema=RESET")
        try schemaWasRead()
        return true
    }

    /// The statement of `sql` at `offset`, compiled against the schema as the file has it.
    func compile(_ sql: String, from offset: Int) throws(SQLiteError) -> CompileOutcome {
        compiler.beginText()
        _ = try refreshSchema()
        if schema.hasAdditions {
            try guardian.storedLiterals.extend(on: connection)
            schema.additionsWereRead()
        }
        compiledAgainst = guardian.storedLiterals.schemaSize
        compiledAgainst.statistics = schema.statistics
        compiler.stepsLeft = budget.stepsLeft
        if offset == 0, let kept = compiler.cached(sql), try !renewTrees(before: kept) {
            return .statement(kept)
        }
        try forgetViewNames()
        var outcome = compiler.compile(sql, from: offset)
        if case .statement(let statement) = outcome {
            if let refusal = refusalBesideDump(statement) { return .failed(refusal) }
            if try renewTrees(before: statement) {
                outcome = compiler.compile(sql, from: offset)
            }
        }
        if case .statement(let statement) = outcome, statement.compiled.facts.followsSchemaOrder,
            try refreshSchema(inOrder: true)
        {
            outcome = compiler.compile(sql, from: offset)
        }
        // What is charged must not depend on what SQLite noted of tables when they were used first.
        let textBytes = outcome.textBytes(of: sql, from: offset)
        if compiler.allocations > CompilationMemory.free(textBytes: textBytes) {
            try forgetViewNames()
            if offset == 0 { compiler.forget(sql) }
            outcome = compiler.compile(sql, from: offset)
        }
        if guardian.facts.changesSchema {
            schema.wasCompiledForChange()
            if compiledAgainst.hasStatistics { chargeReading() }
        }
        if case .statement(let statement) = outcome {
            var refusal = try refusalOfColumn(statement, of: sql, from: offset)
            if refusal == nil { refusal = refusalOfOwner(statement, of: sql, from: offset) }
            if refusal == nil { refusal = refusalOfGrowth(statement, of: sql, from: offset) }
            if let refusal {
                compiler.forget()
                return .failed(refusal)
            }
        }
        return outcome
    }

    func forgetViewNames() throws(SQLiteError) { try views.forget(on: connection) }

    /// It is read anew before the next statement of a client is compiled.
    func invalidateSchema() { schema.invalidate() }

    /// Reading it now keeps it out of what is counted while a statement runs.
    private func schemaWasRead() throws(SQLiteError) {
        // The daemon's own table has a place in SQLite's lists: always the last one.
        let rc = csqlite_reveal(connection.pointer)
        guard rc == SQLITE_OK else { throw connection.lastError }
        let statistics = try costOfStatistics()
        guardian.mayHaveVirtualTables = try connectVirtualTables()
        guardian.storedLiterals = try StoredLiterals(on: connection)
        schema.wasRead(statistics: statistics)
        views.schemaWasRead()
    }

    /// The last statement failed, and SQLite may have left its first rows: it has no journal for a
    /// statement that could only fail by the type of a value for a STRICT table, and relies on the
    /// transaction ending with the statement (SQLITE_CONSTRAINT_DATATYPE; seen in 3.40.1).
    var mayHaveLeftRows: Bool {
        failureCode == SQLITE_CONSTRAINT | 12 << 8 || modules.isRefused
    }

    /// A client's ROLLBACK TO was carried out.
    func rolledBackToSavepoint() {
        schema.wasRolledBack()
        // FTS5 too: its settings count on from what was rolled back.
        if guardian.mayHaveVirtualTables { schema.invalidate() }
    }

    private func ran(_ compiled: CompiledStatement, succeeded: Bool) {
        guard !compiled.isReadOnly else { return }
        chargeReading(after: compiled, succeeded: succeeded)
        if compiled.facts.makesView { views.mayHaveCome() }
        if compiled.facts.changesStatistics { statisticsChanged() }
        if compiled.facts.writesTree { modules.noteWrittenTrees() }
        // FTS3 makes one more table when an option is set.
        let wasChangedByModule = compiled.facts.keyword == .data && guardian.facts.changesSchema
        if wasChangedByModule || compiled.facts.keyword != .data {
            schema.wasChanged(
                isAddition: compiled.facts.keyword == .create && succeeded,
                hasVirtualTables: guardian.mayHaveVirtualTables)
            // What is kept was judged by the schema before: REINDEX of nothing only reads.
            compiler.forget()
        } else if !succeeded, guardian.mayHaveVirtualTables {
            // Full-text modules keep settings in memory that a rollback leaves there.
            schema.invalidate()
        }
    }

    /// Memory holds those that were read with the schema.
    func statisticsChanged() {
        hasNewStatistics = true
        schema.wasChanged(isAddition: false, hasVirtualTables: guardian.mayHaveVirtualTables)
    }

    // MARK: Transactions

    func begin() throws(SQLiteError) {
        try statements.begin.statement.run()
        schema.transactionBegan()
    }
    func commit() throws(SQLiteError) { try statements.commit.statement.run() }

    /// Also after SQLite has ended the transaction by itself.
    func rollBack() throws(SQLiteError) {
        if !connection.isAutocommit { try statements.rollback.statement.run() }
        room.wasRolledBack()
        hasNewCatalogueRows = false
        hasNewStatistics = false
        rolledBackToSavepoint()
        try resetDeferral()
    }

    var isTransactionEnded: Bool { connection.isAutocommit }
    var hasDeferredViolations: Bool { connection.hasDeferredViolations }

    func openUnit() throws(SQLiteError) {
        (unitChangesSchema, failureCode) = (false, SQLITE_OK)
        modules.unitBegins()
        try statements.savepoint.statement.run()
    }

    /// Ends the unit's savepoint, keeping its changes or not.
    func closeUnit(keeping: Bool) throws(SQLiteError) {
        if keeping {
            if guardian.mayHaveVirtualTables { try flushVirtualTables() }
            if hasNewCatalogueRows || hasNewStatistics {
                try announceSchema()
                // SQLite would read it anew by itself, without the daemon's table.
                schema.invalidate()
            }
            hasNewStatistics = false
        } else {
            chargeUndoing()
            try statements.rollBackTo.statement.run()
            hasNewCatalogueRows = false
            hasNewStatistics = false
            rolledBackToSavepoint()
        }
        try statements.release.statement.run()
        try resetDeferral()
    }

    private func resetDeferral() throws(SQLiteError) {
        guard defersForeignKeys else { return }
        defersForeignKeys = false
        try connection.execute("PRAGMA defer_foreign_keys=OFF")
    }

    /// From here on chance is that of a unit: its place in the entry and the entry's seed decide.
    func beginChance(seed: UInt64, unit: Int) {
        functions.chance = .entry(SplitMix64(seed: seed, unit: unit))
        var rowids = SplitMix64(seed: ~seed, unit: unit)
        csqlite_begin_chance(rowids.next())
    }

    // MARK: Session state

    /// Nothing that an earlier command left can be seen by the next.
    /// - Parameter isShared: it runs in the transaction of a batch.
    func beginCommand(_ progress: EntryProgress, settings: ClusterSettings, isShared: Bool)
        throws(SQLiteError)
    {
        shortagesBefore = .met
        compiledAgainst = SchemaSize()
        budget.allow(steps: settings.limits.steps, isFirstLook: isShared)
        budget.used = progress.steps
        budget.remainder = progress.stepsBeside
        try setForeignKeys(progress.foreignKeys ?? settings.foreignKeys)
        try setFlags(progress.flags)
        try setChanges(to: progress.changes)
        connection.setLastInsertRowid(progress.lastInsertRowid)
        functions.totalChangesBase = connection.totalChanges - progress.totalChanges
    }

    func recordSession(in progress: inout EntryProgress) {
        progress.steps = budget.used
        progress.stepsBeside = budget.remainder
        progress.changes = connection.changes
        progress.lastInsertRowid = connection.lastInsertRowid
        progress.totalChanges = connection.totalChanges - functions.totalChangesBase
    }

    /// Makes changes() say what it said before a restart or VACUUM: SQLite only lets it be set by
    /// counting as many rows, here into a table that forgets them.
    func setChanges(to count: Int64) throws(SQLiteError) {
        try statements.resetChanges.statement.run()
        if count <= 0 { return }
        try connection.execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
            INSERT INTO main.\(CSQLITE_COUNTER) SELECT i FROM n
            """)
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
        guardian.likeIsSensitive = new.contains(.caseSensitiveLike)
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

    /// What a module compiles while the statement runs depends on the file alone.
    private func prepareRun(of compiled: CompiledStatement) throws(ApplyFault) {
        guard compiled.facts.followsSchemaOrder || guardian.mayHaveVirtualTables else { return }
        do throws(SQLiteError) {
            try forgetViewNames()
            if !compiled.facts.virtualTables.isEmpty {
                let count = try modules.warm(compiled.facts.virtualTables, on: connection)
                budget.charge(fullTextTables: count)
            }
        } catch {
            throw .storage("preparing a statement's run", error)
        }
    }

    /// Runs a bound statement to its end; `visit` sees it at each row, and once at the end with
    /// false. Failures of the machine are thrown. The statement is reset, also after a failure.
    func run(
        _ compiled: CompiledStatement, stopsAtFirstRow: Bool,
        visit: (borrowing PreparedStatement, Bool) -> Void
    ) throws(ApplyFault) -> Execution {
        if let name = compiled.facts.newVirtualTable, !compiled.isReadOnly, !budget.isSpent {
            guardian.noteVirtualTable(name)
        }
        try prepareRun(of: compiled)
        guardian.clearDenial()
        // SQLite may compile it again: then it is judged as what it is, not as what came last.
        guardian.facts = compiled.facts
        // Modules keep what they compile, from a read that one node alone carries out to a write of all.
        guardian.refusesNodeLocal = !compiled.isReadOnly || !compiled.facts.virtualTables.isEmpty
        functions.refusesNodeLocal = !compiled.isReadOnly
        watch.begin(previousRowid: connection.lastInsertRowid)
        budget.start(
            compiled.statement, on: connection.pointer, all: guardian.mayHaveVirtualTables)
        guardian.subject = compiled.facts.keyword == .vacuum ? .vacuum : .client
        guardian.isRunning = true
        room.begin(
            changesSchema: !compiled.isReadOnly && compiled.facts.keyword != .data,
            copiesDatabase: compiled.facts.keyword == .vacuum)
        modules.clearRefusal()
        modules.countPrefixes(ofStatementThatWrites: compiled.facts.writesVirtualTable)
        // Its plan depends on what was bound to LIKE: SQLite compiles it again, as it did before.
        let isCompiledAgain = !compiled.isFactored && compiled.statement.isExpired
        if isCompiledAgain { csqlite_factor_constants(connection.pointer, 0) }
        // What modules compile then is compiled as ever: they keep it.
        if compiled.facts.writesVirtualTable || isCompiledAgain && guardian.mayHaveVirtualTables {
            modules.beginWatch(compiled.statement, on: connection)
        }
        budget.countBlocks(compiled, pageSize: room.pageSize)
        failureCode = SQLITE_OK
        csqlite_activate_chance(1)
        let isTraced = !compiled.isReadOnly && compiled.facts.keyword == .data
        if isTraced { trace.begin(on: connection) }
        var hasBegun = false
        var succeeded = false
        defer {
            csqlite_activate_chance(0)
            if isCompiledAgain { csqlite_factor_constants(connection.pointer, 1) }
            modules.endWatch()
            room.end()
            compiled.statement.reset()
            if isTraced { trace.end(on: connection) }
            compiled.statement.clearBindings()
            guardian.subject = .daemon
            guardian.isRunning = false
            guardian.refusesNodeLocal = false
            budget.stop()
            if hasBegun { ran(compiled, succeeded: succeeded) }
        }
        // What stood before it in the request took all there was.
        if budget.isExhausted { return .failed(budget.text) }
        hasBegun = true
        do throws(SQLiteError) {
            while try compiled.statement.step() {
                visit(compiled.statement, true)
                if stopsAtFirstRow { break }
            }
            visit(compiled.statement, false)
            budget.chargeRest(behind: compiled.statement)
            if modules.isRefused { return .failed(ModuleMemory.oversizedText) }
            succeeded = true
            return .finished
        } catch {
            return try judge(error, of: compiled)
        }
    }

    /// What became of a statement that SQLite ended with an error; failures of the machine are thrown.
    private func judge(
        _ error: SQLiteError, of compiled: CompiledStatement
    ) throws(ApplyFault) -> Execution {
        failureCode = error.extendedCode
        budget.chargeRest(behind: compiled.statement)
        // What the machine lacked is no outcome, whatever else the statement met with.
        let isOfMachine = error.code == SQLITE_IOERR || shortagesBefore != .met
        if isOfMachine, let fault = machineFault(of: error) { throw fault }
        if modules.isRefused { return .failed(ModuleMemory.oversizedText) }
        if budget.isExhausted { return .failed(budget.text) }
        if let refusal = room.refusal(error, on: connection) { return .overLimit(refusal.text) }
        // The schema was read before: what can't be is what the statement has made of it.
        if compiled.facts.changesSchema, ApplyFault.isOfSchema(error) {
            return .failed(error.message)
        }
        if let fault = machineFault(of: error) { throw fault }
        return .failed(guardian.explaining(error).message)
    }

    private func machineFault(of error: SQLiteError) -> ApplyFault? {
        // Within a transaction no lock is waited for. It is a savepoint that can't be opened beside a statement that writes,
        // as by optimize() of FTS3 and FTS4.
        if error.code == SQLITE_BUSY, !connection.isAutocommit { return nil }
        return ApplyFault.judging(
            error, during: "applying a statement", on: connection, since: shortagesBefore)
    }

    /// The rowid that the INSERT just run gave to its last row; zero when it inserted none.
    func insertedRowid(previous: Int64) -> Int64 {
        let rowid = connection.lastInsertRowid
        return rowid != previous || watch.insertedPrevious ? rowid : 0
    }
}
