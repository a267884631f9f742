internal import CSQLite
internal import SQLite

/// The upkeep of the database.
extension WriteSession {
    /// Runs VACUUM. As in SQLite it leaves no trace in the counters.
    func vacuum<Result>(_ body: () throws(ApplyFault) -> Result) throws(ApplyFault) -> Result {
        // It fails before it does anything.
        if budget.isSpent { return try body() }
        let rowid = connection.lastInsertRowid
        let changes = connection.changes
        let visible = connection.totalChanges - functions.totalChangesBase
        // A rollback may have made SQLite forget the daemon's table since the schema was read.
        guard csqlite_reveal(connection.pointer) == SQLITE_OK else {
            throw .storage("preparing VACUUM", connection.lastError)
        }
        do throws(SQLiteError) {
            // The row that lists the daemon's table must fit whatever the limit on clients' writes is.
            // What VACUUM itself takes of the file is no more than the file has.
            try room.lift(on: connection)
        } catch {
            throw .storage("preparing VACUUM", error)
        }
        let result = try MetadataTable.whileListed(on: connection, body)
        do throws(SQLiteError) {
            try setChanges(to: changes)
            budget.charge(restoredChanges: changes)
            // Not those from before: where the process ended behind it, it runs once more.
            budget.charge(copiedPages: try connection.integer("PRAGMA main.page_count") ?? 0)
        } catch {
            throw .storage("ending VACUUM", error)
        }
        connection.setLastInsertRowid(rowid)
        functions.totalChangesBase = connection.totalChanges - visible
        return result
    }

    /// ANALYZE of the whole database, in place of PRAGMA optimize.
    func analyze() throws(SQLiteError) {
        _ = try refreshSchema(inOrder: true)
        chargeReading()
        unitChangesSchema = true
        defer { statisticsChanged() }
        let statement = try connection.prepare("ANALYZE")
        budget.start(
            statement, on: connection.pointer, all: guardian.mayHaveVirtualTables)
        budget.countPages()
        defer {
            budget.chargeRest()
            budget.stop()
        }
        do throws(SQLiteError) {
            try statement.run()
        } catch {
            guard error.code == SQLITE_INTERRUPT, budget.isExhausted else { throw error }
            throw SQLiteError(extendedCode: SQLITE_ERROR, message: budget.text)
        }
    }
}
