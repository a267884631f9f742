internal import SQLite

/// What it takes to read the schema that a statement was compiled against. By the file alone, where what
/// is in memory depends on the past.
struct SchemaSize: Equatable {
    /// A connection reads an object, and a byte of its text, in about the time of so many steps.
    private static let stepsPerObject = 300
    private static let stepsPerByte = 2
    /// … and a row of statistics.
    private static let stepsPerStatistic = 5

    private var objectSteps = 0
    private(set) var hasVirtualTables = false
    /// Rows of them; nil: there is no table for them.
    var statistics: Int?

    var hasStatistics: Bool { statistics != nil }
    var steps: Int { objectSteps + (statistics ?? 0) * Self.stepsPerStatistic }

    /// - Parameter uniques: constraints of a table, for each of which SQLite goes through all.
    mutating func add(bytes: Int, uniques: Int, isVirtual: Bool) {
        objectSteps += Self.stepsPerObject + bytes * Self.stepsPerByte + uniques * uniques
        if isVirtual { hasVirtualTables = true }
    }
}

/// The request pays for the readings of the schema that it brings about, whether this connection has to
/// read or not: another one, with another past, may have to.
extension WriteSession {
    /// The rows of the planner's statistics, all of which SQLite reads with the schema, whatever they are of; nil:
    /// it finds no table of them.
    func countStatistics() throws(SQLiteError) -> Int? {
        let tables = try connection.prepare(
            "SELECT name, type = 'table' AND rootpage > 0 FROM main.sqlite_schema "
                + "WHERE name IN ('sqlite_stat1', 'sqlite_stat4')")
        var isAnalyzed = false
        var count = 0
        while try tables.step() {
            let name = tables.text(at: 0) ?? ""
            if name == "sqlite_stat1" { isAnalyzed = true }
            guard tables.integer(at: 1) != 0 else { continue }
            let rows = try connection.integer("SELECT count(*) FROM main.\(name.quotedName)")
            count += Int(clamping: rows ?? 0)
        }
        return isAnalyzed ? count : nil
    }

    func chargeReading() {
        // Nothing is read before the end of such a transaction, which is read for once.
        if hasNewCatalogueRows { return }
        budget.charge(reading: compiledAgainst.steps)
    }

    /// For what is read before a statement is compiled or run.
    func chargeReading(before compiled: CompiledStatement) {
        let facts = compiled.facts
        if facts.followsSchemaOrder || facts.shrinksTree { chargeReading() }
    }

    /// For what is read before the next statement is compiled.
    func chargeReading(after compiled: CompiledStatement, succeeded: Bool) {
        let facts = compiled.facts
        if facts.changesStatistics || facts.keyword != .data { unitChangesSchema = true }
        if facts.keyword == .data {
            let isUndone = !succeeded && compiledAgainst.hasVirtualTables
            if isUndone || facts.changesStatistics { chargeReading() }
            return
        }
        let isAddition = facts.keyword == .create && succeeded
        if !isAddition || compiledAgainst.hasStatistics || compiledAgainst.hasVirtualTables {
            chargeReading()
        }
    }

    /// For what is read after the unit, or a part of it, was undone.
    func chargeUndoing() {
        if unitChangesSchema || compiledAgainst.hasVirtualTables { chargeReading() }
    }
}
