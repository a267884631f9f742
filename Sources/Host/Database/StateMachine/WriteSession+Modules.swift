internal import CSQLite
internal import SQLite

/// What the session does for virtual tables, whose modules keep memory of their own (see `ModuleMemory`).
extension WriteSession {
    /// Makes SQLite connect each virtual table now. Left to the first statement that names one, the
    /// module's own statements would be compiled with it, and show in what is learnt about it.
    /// - Returns: whether there are any.
    func connectVirtualTables() throws(SQLiteError) -> Bool {
        let tables = try connection.prepare(
            "SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0")
        var found: [(name: String, sql: String)] = []
        while try tables.step() {
            found.append((tables.text(at: 0) ?? "", tables.text(at: 1) ?? ""))
        }
        guardian.virtualTables = Set(found.map { ByteText($0.name.loweredASCII.utf8) })
        try modules.learn(found, on: connection)
        guardian.oversized = modules.oversized
        guardian.trees = modules.trees
        guardian.replacingTriggers = modules.replacingTriggers
        var width = 0
        let shortages = Shortages.met
        defer { budget.noteVirtualTables(width: width) }
        for (name, _) in found {
            // FTS4 compiles what has its content, which may be a view that stands for endless work.
            csqlite_limit_nested(CompilationMemory.connectingAllocations)
            defer { csqlite_end_nested() }
            do throws(SQLiteError) {
                // Not out of the memory that SQLite keeps for what is short-lived, which doesn't count.
                let all = try connection.prepare(
                    "SELECT * FROM main.\(name.quotedName)", isPersistent: true)
                let own = (0..<all.columnCount).reduce(0) {
                    $0 + StepBudget.columnWidth + all.columnName(at: $1).utf8.count
                }
                width = max(width, own)
            } catch {
                if error.code == SQLITE_NOMEM, shortages.hasLackedMemory { throw error }
                // Its module finds fault with it, and says so to each statement that names it.
                continue
            }
        }
        return !found.isEmpty
    }

    /// Full-text modules keep what is new in memory until a savepoint or COMMIT, and then write it
    /// with statements that show in changes(). So that this happens at the end of a unit whatever
    /// comes after it, a savepoint is made there.
    func flushVirtualTables() throws(SQLiteError) {
        try connection.execute("SAVEPOINT flush; RELEASE flush")
        modules.nothingIsHeld()
    }

    /// Connects R-Trees anew before a statement that takes something out of one. True when they were,
    /// and what was compiled before is void.
    func renewTrees(before statement: ScriptStatement) throws(SQLiteError) -> Bool {
        guard statement.compiled.facts.shrinksTree else { return false }
        // Where they are connected anew they write what is new, so all nodes do it here.
        if !connection.isAutocommit { try flushVirtualTables() }
        guard modules.treesWereWritten else { return false }
        invalidateSchema()
        return try refreshSchema()
    }

    /// Full-text modules keep what is new in memory, for each table, until a savepoint or the end of the unit. Before
    /// a statement by which more tables would than may, what they hold is written.
    /// - Returns: why the statement is refused, in words for the client; nil when it isn't.
    func writeOutFullText(before compiled: CompiledStatement) throws(SQLiteError) -> String? {
        let tables = compiled.facts.writtenFullText
        guard !tables.isEmpty, !compiled.isReadOnly else { return nil }
        if let refusal = ModuleMemory.refusal(ofWriting: tables) { return refusal }
        if modules.isFull(beside: tables) { try flushVirtualTables() }
        modules.hold(tables)
        return nil
    }

    /// The schema can't be read anew then.
    func refusalBesideDump(_ statement: ScriptStatement) -> SQLiteError? {
        guard hasNewCatalogueRows, statement.compiled.facts.shrinksTree else { return nil }
        return SQLiteError(
            extendedCode: SQLITE_ERROR, message: ModuleMemory.shrinkingBesideDumpText)
    }
}
