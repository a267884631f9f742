internal import CSQLite
internal import SQLite

/// What it takes to read the schema that a statement was compiled against. By the file alone, where what
/// is in memory depends on the past.
struct SchemaSize: Equatable {
    /// A connection reads an object, and a byte of its text, in about the time of so many steps.
    private static let stepsPerObject = 300
    private static let stepsPerByte = 2
    /// … and a row of statistics; of their texts it looks at the beginning, but has all in memory.
    private static let stepsPerStatistic = 5
    private static let statisticBytesPerStep = 64

    /// What a connection has in memory of a schema, at most, and about three times as much while it reads it: of texts, and of
    /// what each of their tokens becomes.
    static let mostBytes = 256 << 20
    private static let bytesPerToken = 32
    /// By an ALTER TABLE each token may become as long as its text.
    private static let mostTimesOfAlter = 4

    private(set) var bytes = 0
    private var tokens = 0
    private var objectSteps = 0
    private(set) var hasVirtualTables = false
    private(set) var triggers = 0
    /// See `SchemaNames`.
    var fullestList = 0
    /// What reading them takes, in steps; nil: there is no table for them.
    var statistics: Int?

    var hasStatistics: Bool { statistics != nil }
    var steps: Int { objectSteps + (statistics ?? 0) }

    static func steps(ofStatistics rows: Int64, bytes: Int64) -> Int {
        // No file has more of either.
        Int(clamping: min(rows, 1 << 48)) * stepsPerStatistic
            + Int(clamping: bytes) / statisticBytesPerStep
    }

    /// Whether it is too large with an object, or a column, of this text.
    /// - Parameter most: in bytes.
    func isTooLarge(with text: UnsafeRawBufferPointer, most: Int) -> Bool {
        bytes + text.count + StatementSize(stored: text).tokens * Self.bytesPerToken > most
    }

    /// Whether it may become too large by an ALTER TABLE of this text, which gives something another name.
    func isTooLarge(renamedBy text: UnsafeRawBufferPointer, most: Int) -> Bool {
        // No text has more than 2^28 bytes, and no schema that was let in as many tokens.
        bytes + tokens * text.count > Self.mostTimesOfAlter * most
    }

    /// - Parameter uniques: constraints of a table, for each of which SQLite goes through all.
    mutating func add(
        bytes: Int, tokens: Int, uniques: Int, isVirtual: Bool, isTrigger: Bool
    ) {
        self.bytes += bytes + tokens * Self.bytesPerToken
        self.tokens += tokens
        objectSteps += Self.stepsPerObject + bytes * Self.stepsPerByte + uniques * uniques
        if isVirtual { hasVirtualTables = true }
        if isTrigger { triggers += 1 }
    }
}

extension WriteSession {
    /// Why a statement by which the schema grows is refused: each connection has all of it in memory, and reads it at the
    /// start, before anything could be dropped.
    /// - Parameter sql: the statement begins at `offset` of it.
    func refusalOfGrowth(_ statement: ScriptStatement, of sql: String, from offset: Int)
        -> SQLiteError?
    {
        let facts = statement.compiled.facts
        guard facts.changesSchema || facts.catalogueRow != nil, !statement.compiled.isReadOnly
        else { return nil }
        let most = guardian.mostSchemaBytes
        let (grows, isTooLarge) = statement.withText(of: sql, from: offset) {
            text -> (Bool, Bool) in
            if facts.altersTable {
                return (false, compiledAgainst.isTooLarge(renamedBy: text, most: most))
            }
            let grows =
                facts.keyword == .create || facts.catalogueRow != nil
                || ColumnChange.isAddition(text)
            return (grows, grows && compiledAgainst.isTooLarge(with: text, most: most))
        }
        if grows, compiledAgainst.fullestList >= guardian.mostInList {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message:
                    "the schema has too many objects, or too many whose names SQLite keeps in one list: drop "
                    + "some, and keep data in tables")
        }
        guard isTooLarge else { return nil }
        return SQLiteError(
            extendedCode: SQLITE_ERROR,
            message:
                "the schema would be too large, for each connection has it in memory: use shorter views, "
                + "triggers and constraints, and keep data in tables")
    }
}

/// The request pays for the readings of the schema that it brings about, whether this connection has to
/// read or not: another one, with another past, may have to.
extension WriteSession {
    /// What it takes to read the planner's statistics, in steps: SQLite does so whenever it reads the schema, and
    /// goes through all, whatever they are of. Nil: there is no table of them.
    func costOfStatistics() throws(SQLiteError) -> Int? {
        let found = try connection.integer(
            "SELECT type = 'table' AND rootpage > 0 FROM main.sqlite_schema WHERE name = 'sqlite_stat1'"
        )
        guard let found else { return nil }
        // What a file brought under the name before that was looked for SQLite doesn't read either.
        guard found != 0 else { return 0 }
        let shortages = Shortages.met
        do throws(SQLiteError) {
            let lengths = ["tbl", "idx", "stat"].map { "total(length(CAST(\($0) AS BLOB)))" }
            let sizes = try connection.prepare(
                "SELECT count(*), CAST(\(lengths.joined(separator: " + ")) AS INTEGER) "
                    + "FROM main.sqlite_stat1")
            guard try sizes.step() else { return 0 }
            return SchemaSize.steps(
                ofStatistics: sizes.integer(at: 0), bytes: sizes.integer(at: 1))
        } catch {
            guard error.code == SQLITE_ERROR, !shortages.hasLackedMemory else { throw error }
            return 0
        }
    }

    func chargeReading() {
        // Nothing is read before the end of such a transaction, which is read for once.
        if hasNewCatalogueRows { return }
        budget.charge(reading: compiledAgainst.steps)
    }

    /// For a virtual table that a dump puts into the schema: all objects are looked through for its name, and it
    /// is made in a database of its own.
    func chargeCatalogueRow() { budget.charge(reading: compiledAgainst.steps) }

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
        // Beside statistics it was charged when it was compiled, whatever came of it: the schema is read once for both.
        if facts.changesSchema, compiledAgainst.hasStatistics { return }
        let isAddition = facts.keyword == .create && succeeded
        if !isAddition || compiledAgainst.hasVirtualTables { chargeReading() }
    }

    /// For what is read after the unit, or a part of it, was undone.
    func chargeUndoing() {
        if unitChangesSchema || compiledAgainst.hasVirtualTables { chargeReading() }
    }

    // MARK: Views

    /// ALTER TABLE works out each view so often; and as often again for so many triggers.
    private static let passesOfAlter = 4
    private static let triggersPerPass = 8

    /// For the views that are worked out anew while the statement runs, which shows in none of its steps: what it would cost to
    /// compile them with it.
    func chargeViews(before compiled: CompiledStatement) throws(SQLiteError) {
        let facts = compiled.facts
        let isChange = facts.altersTable && !compiled.isReadOnly
        guard facts.listsTables || isChange, !budget.isSpent else { return }
        let passes =
            isChange
            ? Self.passesOfAlter * (1 + compiledAgainst.triggers / Self.triggersPerPass) : 1
        budget.charge(
            allocations: try allocationsOfViews() * Int64(passes), textBytes: 0, listSteps: 0)
    }

    /// Follows from the schema: what SQLite notes of tables when they are used first doesn't count.
    private func allocationsOfViews() throws(SQLiteError) -> Int64 {
        if let known = guardian.storedLiterals.viewAllocations { return known }
        try forgetViewNames()
        _ = try countAllocationsOfViews()
        try forgetViewNames()
        let found = try countAllocationsOfViews()
        guardian.storedLiterals.viewAllocations = found
        return found
    }

    /// A list of all tables works out the columns of those views of which they are not known.
    private func countAllocationsOfViews() throws(SQLiteError) -> Int64 {
        // The number is kept, and a node that has just started asks for it in another request: what that one has left, by
        // which its own statements are bounded, must not cut it short.
        let (names, plans) = (guardian.mostFoundNames, guardian.planBound)
        defer { (guardian.mostFoundNames, guardian.planBound) = (names, plans) }
        guardian.mostFoundNames = .max
        guardian.planBound = (steps: .max, free: 0)
        let memory = CompilationMemory(textBytes: 0)
        do throws(SQLiteError) {
            // As clients' statements are: by a lasting one SQLite leaves alone the small blocks that a connection has at
            // hand, which are not counted, and of which others may hold some.
            _ = try connection.prepare("PRAGMA main.table_list", isPersistent: true)
            _ = memory.end(SQLITE_OK)
        } catch {
            // More than a statement may take: it fails where it is run.
            let isOfSchema = memory.end(error.extendedCode) != nil || error.code == SQLITE_ERROR
            if !isOfSchema { throw error }
        }
        return csqlite_allocations()
    }
}
