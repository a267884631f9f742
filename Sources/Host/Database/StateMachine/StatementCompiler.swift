internal import CSQLite
internal import SQLite
internal import Wire

/// A compiled statement of a client with what is known about it.
final class CompiledStatement {
    let statement: PreparedStatement
    let facts: StatementFacts
    let isReadOnly: Bool
    let parameterCount: Int
    /// What compiling it took, in allocations.
    let allocations: Int64
    /// See `StatementSize`.
    let size: StatementSize
    /// Its constants are made once, instead of in each row.
    let isFactored: Bool
    /// In place of its own, where another text was compiled than the client's.
    var columnNames: [String]?
    /// The names of the parameters by their number from 0, as bytes and without prefix; nil for
    /// those without one. SQLite looks a name up by going through all that stand before it, so it is
    /// asked once per statement.
    private(set) lazy var parameterNames: [ByteText?] = (0..<parameterCount).map { index in
        statement.parameterName(at: index + 1).map { ByteText($0.utf8.dropFirst()) }
    }

    /// What it takes in memory.
    private(set) lazy var byteCount: Int = statement.byteCount
    /// To ask for that takes as long as the program is.
    private static let smallProgram: Int64 = 10_000
    /// Of a program that can be large; else zero.
    var largeProgramBytes: Int64 { allocations > Self.smallProgram ? Int64(byteCount) : 0 }

    var ownColumnNames: [String] {
        (0..<statement.columnCount).map { statement.columnName(at: $0) }
    }

    init(
        _ statement: consuming PreparedStatement, facts: StatementFacts, allocations: Int64,
        size: StatementSize, isFactored: Bool
    ) {
        self.isFactored = isFactored
        self.allocations = allocations
        self.size = size
        self.facts = facts
        isReadOnly = statement.isReadOnly && !facts.writesByFunction
        parameterCount = statement.parameterCount
        self.statement = statement
    }
}

/// A statement of a text: the text may hold several.
struct ScriptStatement {
    var compiled: CompiledStatement
    /// Where the next one begins.
    var end: Int
    /// Nothing but blanks and comments follow.
    var isLast: Bool

    /// Hands on its own text.
    /// - Parameter sql: it begins at `offset` of it.
    func withText<Result>(
        of sql: String, from offset: Int, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        var copy = sql
        return copy.withUTF8 {
            body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[offset..<end]))
        }
    }
}

enum CompileOutcome {
    case statement(ScriptStatement)
    /// Only blanks and comments were left.
    case nothing
    case failed(SQLiteError)

    /// How much of the text it is about, in bytes: a statement's own, and all that is left where there is none. By
    /// that much is judged what compiling it may take for nothing.
    func textBytes(of sql: String, from offset: Int) -> Int {
        if case .statement(let statement) = self { return statement.end - offset }
        return sql.utf8.count - offset
    }
}

/// Compiles clients' SQL under the guard and keeps the statements that are likely to come again.
final class StatementCompiler {
    private let connection: OpaquePointer
    private let guardian: Guard
    private let capacity: Int
    /// What the request has left of its steps; nothing: nothing is compiled that would cost more. For
    /// requests without a limit what it usually is.
    var stepsLeft = Int(clamping: WriteLimits.initial.steps)
    private var isPoor: Bool { stepsLeft <= 0 }
    /// What takes long is cut short: a reader compiles it when there is a place for that.
    var isBrief = false
    /// The last text was.
    private(set) var wasCutShort = false
    /// What compiling took, the last time, in allocations.
    private(set) var allocations: Int64 = 0
    /// What lists in it cost, the last time, in steps.
    private(set) var listSteps = 0
    /// Statements used since the last turn, and those used in the turn before. When the first are
    /// too many, the second are dropped and take their place.
    private var recent: [SQLText: ScriptStatement] = [:]
    private var older: [SQLText: ScriptStatement] = [:]
    /// Of the first, or more.
    private var recentBytes = 0
    /// The one used last: often it comes again at once, and comparing is cheaper than hashing.
    private var last: (text: SQLText, statement: ScriptStatement)?

    /// The texts kept are short: a long one is hardly ever sent twice.
    private static let longestKept = 16_384
    /// What is compiled of a short text, over views and triggers, may still take hundreds of megabytes.
    private static let largestKept = 1 << 20
    /// What those of one turn may take together: each of hundreds of readers keeps some.
    private static let mostKept = 2 << 20

    init(connection: borrowing Connection, guardian: Guard, capacity: Int = 64) {
        self.connection = connection.pointer
        self.guardian = guardian
        self.capacity = capacity
    }

    /// A text that is one statement and was compiled before: it needs no compiling.
    ///
    /// What SQLite would compile again when it runs is not kept: by a rollback or a setting it takes
    /// statements for outdated, as nodes with another past don't. Within a run it would be compiled
    /// with the hook for checksums set, and so without the shortcut that empties a table at once.
    func cached(_ sql: String) -> ScriptStatement? {
        // Of a request that has nothing left only what costs nothing is compiled: whether that is said
        // of the statement or of its run must not depend on what was kept.
        guard !guardian.likeIsSensitive, !isPoor else { return nil }
        let text = SQLText(sql)
        if let last, last.text == text, !last.statement.compiled.statement.isExpired {
            return isAffordable(last.statement) ? last.statement : nil
        }
        last = nil
        guard let statement = found(text), isAffordable(statement) else { return nil }
        last = (text, statement)
        return statement
    }

    private func isAffordable(_ statement: ScriptStatement) -> Bool {
        statement.compiled.size.refusal(stepsLeft: stepsLeft) == nil
    }

    private func found(_ text: SQLText) -> ScriptStatement? {
        let isRecent = recent[text] != nil
        guard let statement = recent[text] ?? older.removeValue(forKey: text) else { return nil }
        if statement.compiled.statement.isExpired {
            recent[text] = nil
            return nil
        }
        if !isRecent { insert(statement, for: text) }
        return statement
    }

    /// Drops what was kept: nothing that is compiled before may show in what comes after.
    func forget() {
        recent.removeAll(keepingCapacity: true)
        older.removeAll(keepingCapacity: true)
        recentBytes = 0
        last = nil
    }

    /// Drops what was kept of this text.
    func forget(_ sql: String) {
        guard sql.utf8.count <= Self.longestKept else { return }
        let text = SQLText(sql)
        recent[text] = nil
        older[text] = nil
        if last?.text == text { last = nil }
    }

    /// What is told of the last text holds for that alone: it may end before anything of the next is compiled.
    func beginText() {
        allocations = 0
        listSteps = 0
    }

    private func insert(_ statement: ScriptStatement, for sql: SQLText) {
        let bytes = statement.compiled.byteCount
        if recent.count >= capacity / 2 || recentBytes + bytes > Self.mostKept {
            swap(&recent, &older)
            recent.removeAll(keepingCapacity: true)
            recentBytes = 0
        }
        recent[sql] = statement
        recentBytes += bytes
    }

    /// The statement of `sql` that begins at `offset` or after blanks there.
    func compile(_ sql: String, from offset: Int) -> CompileOutcome {
        wasCutShort = false
        if offset == 0, let kept = cached(sql) { return .statement(kept) }
        let count = sql.utf8.count
        let outcome = sql.withCString { text in
            compile(UnsafeRawBufferPointer(start: text + offset, count: count - offset))
        }
        guard case .statement(var statement) = outcome else { return outcome }
        statement.end += offset
        if offset == 0, statement.isLast { keep(statement, for: sql) }
        return .statement(statement)
    }

    private func compile(_ sql: UnsafeRawBufferPointer, hasSensitiveLike: Bool = false)
        -> CompileOutcome
    {
        guardian.begin(Self.keyword(of: sql))
        guardian.facts.hasSensitiveLike = hasSensitiveLike
        let previous = guardian.subject
        guardian.subject = .client
        defer { guardian.subject = previous }
        var size = StatementSize(sql)
        let lookups = ColumnLookups(sql)
        let columns = max(guardian.storedLiterals.mostColumns, lookups.widest)
        size.lookupSteps = lookups.steps(columns: columns)
        guardian.reachesModules = guardian.storedLiterals.reachesModules(sql)
        // An UPDATE looks in its own without a FROM.
        guardian.tablesOfText = max(1, lookups.count.tables)
        let most = isBrief ? CompilationCost.free : max(stepsLeft, CompilationCost.free)
        guardian.mostFoundNames = ColumnLookups.names(steps: most, columns: columns)
        listSteps = size.steps
        allocations = 0
        if let refusal = size.refusal(stepsLeft: stepsLeft) { return .failed(refusal) }
        if isBrief, size.steps > CompilationCost.free { return cutShort() }
        let constants = size.constants + guardian.storedLiterals.constants
        let isFactored = constants <= StatementSize.mostFactored
        if !isFactored { csqlite_factor_constants(connection, 0) }
        let memory = CompilationMemory(textBytes: sql.count, isPoor: isPoor, isBrief: isBrief)
        guardian.boundPlans(of: lookups.count, steps: most, textBytes: sql.count)
        let result = compileTranslated(sql)
        // What modules compile while it runs is compiled as ever.
        csqlite_factor_constants(connection, 1)
        let refusal = memory.end(result.code)
        let hasLookedLong = guardian.facts.foundNames > guardian.mostFoundNames
        if isBrief, hasLookedLong || refusal != nil && csqlite_memory_exceeded() == 1 {
            if let compiled = result.statement { _ = PreparedStatement(owning: compiled) }
            return cutShort()
        }
        allocations = csqlite_allocations()
        size.noteLookups(guardian.facts, columns: columns)
        size.notePlans(
            of: lookups.count, guardian.facts, allocations: allocations,
            textBytes: result.statement == nil ? sql.count : result.consumed)
        listSteps = size.steps
        guard result.code == SQLITE_OK else {
            let error = SQLiteError(extendedCode: result.code, connection: connection)
            return .failed(refusal ?? guardian.explaining(error))
        }
        guard let compiled = result.statement else { return .nothing }
        let text = UnsafeRawBufferPointer(rebasing: sql[..<result.consumed])
        if let refusal = refusalOfText(text) {
            _ = PreparedStatement(owning: compiled)
            return .failed(SQLiteError(extendedCode: SQLITE_ERROR, message: refusal))
        }
        if guardian.facts.altersTable, ColumnChange.isAddition(text) {
            guardian.facts.altersTable = false
        }
        // A trigger's INSERT replaces where the statement or the trigger that fires it says so.
        if guardian.facts.writesTree, guardian.facts.mayReplace || Self.hasReplace(text) {
            guardian.facts.shrinksTree = true
        }
        let statement = PreparedStatement(owning: compiled)
        if statement.isExplanation { guardian.facts.becomeThoseOfAnExplanation() }
        let script = ScriptStatement(
            compiled: CompiledStatement(
                statement, facts: guardian.facts, allocations: allocations, size: size,
                isFactored: isFactored),
            end: result.consumed,
            isLast: SQLTokenizer.isBlank(UnsafeRawBufferPointer(rebasing: sql[result.consumed...])))
        guard guardian.likeIsSensitive, !hasSensitiveLike else { return .statement(script) }
        return withSensitiveLike(script, text)
    }

    /// Nobody sees the error.
    private func cutShort() -> CompileOutcome {
        wasCutShort = true
        return .failed(SQLiteError(extendedCode: SQLITE_NOMEM, message: "cut short"))
    }

    /// The statement with the LIKE of PRAGMA case_sensitive_like=ON, if it has any. That it can be
    /// compiled with the usual one is known: it names no function that it must not.
    private func withSensitiveLike(_ script: ScriptStatement, _ text: UnsafeRawBufferPointer)
        -> CompileOutcome
    {
        switch SensitiveLike(text) {
        case .absent: return .statement(script)
        case .refused(let reason):
            return .failed(SQLiteError(extendedCode: SQLITE_ERROR, message: reason))
        case .text(let other):
            let names = script.compiled.ownColumnNames
            let outcome = other.withUnsafeBytes {
                compile(UnsafeRawBufferPointer(rebasing: $0.dropLast()), hasSensitiveLike: true)
            }
            guard case .statement(var statement) = outcome else { return outcome }
            statement.compiled.columnNames = names
            statement.end = script.end
            statement.isLast = script.isLast
            return .statement(statement)
        }
    }

    /// Compiles a statement, or what stands for it.
    private func compileTranslated(_ sql: UnsafeRawBufferPointer)
        -> PreparedStatement.Compilation
    {
        if guardian.facts.keyword == .pragma, let pragma = PragmaStatement(sql),
            var translation = pragma.translation
        {
            var result = translation.withUTF8 {
                PreparedStatement.compile(
                    UnsafeRawBufferPointer($0), on: connection, isPersistent: true)
            }
            result.consumed = pragma.end
            return result
        }
        if guardian.acceptsCatalogueRows, let row = CatalogueRow(sql) {
            guardian.facts.catalogueRow = row
            return compilePlaceholder(consuming: row.end)
        }
        // Here a list of ours stands in a form that only SQLite understands, if it does.
        guardian.refusesLists = guardian.facts.keyword == .pragma
        defer { guardian.refusesLists = false }
        return PreparedStatement.compile(terminated: sql, on: connection, isPersistent: true)
    }

    /// A statement that is never run: the daemon does the work of the one that it stands for. It is
    /// one that writes, as that is.
    private func compilePlaceholder(consuming end: Int) -> PreparedStatement.Compilation {
        guardian.subject = .daemon
        var sql = "DELETE FROM main.\(CSQLITE_COUNTER)"
        var result = sql.withUTF8 {
            PreparedStatement.compile(
                UnsafeRawBufferPointer($0), on: connection, isPersistent: false)
        }
        result.consumed = end
        return result
    }

    private func keep(_ statement: ScriptStatement, for sql: String) {
        // What a PRAGMA answers may be fixed when it is compiled; the rest runs once.
        switch statement.compiled.facts.keyword {
        case .pragma, .vacuum, .analyze: return
        case .data, .create, .other: break
        }
        // SQLite doesn't look whether a plan that it only tells about is still the right one.
        guard !statement.compiled.statement.isExplanation else { return }
        // What it reads may be another view tomorrow.
        guard statement.compiled.facts.nodeLocal == nil else { return }
        guard statement.compiled.facts.catalogueRow == nil else { return }
        guard !statement.compiled.facts.hasSensitiveLike else { return }
        guard sql.utf8.count <= Self.longestKept,
            statement.compiled.byteCount <= Self.largestKept
        else { return }
        insert(statement, for: SQLText(sql))
    }

    /// Why it may not run, or what it makes not be part of the schema. Notes which parameters are to be looked at.
    private func refusalOfText(_ text: UnsafeRawBufferPointer) -> String? {
        if guardian.facts.usesHitCounts {
            guard let parameters = FormatRule.parameters(of: text) else { return FormatRule.text }
            guardian.facts.formatParameters = parameters
        }
        if let name = guardian.facts.shadowTable, !ShadowTables.isOrdinary(text) {
            return ShadowTables.refusal(name)
        }
        return SchemaRules.refusal(of: text)
    }

    private static func hasReplace(_ sql: UnsafeRawBufferPointer) -> Bool {
        var tokens = SQLTokenizer(sql)
        while let token = tokens.next() {
            if case .word(let range) = token, tokens.isKeyword(range, "REPLACE") { return true }
        }
        return false
    }

    /// Whether the statement that begins there may be about objects of the schema, or explain one that is.
    static func isAboutSchema(_ sql: String, at offset: Int) -> Bool {
        var copy = sql
        return copy.withUTF8 { utf8 in
            var tokens = SQLTokenizer(
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(utf8)[offset...]))
            var first = tokens.next()
            while first == .semicolon { first = tokens.next() }
            guard case .word(let range)? = first else { return false }
            let words: [StaticString] = [
                "CREATE", "ALTER", "DROP", "REINDEX", "ANALYZE", "VACUUM", "EXPLAIN",
            ]
            return words.contains { tokens.isKeyword(range, $0) }
        }
    }

    private static func keyword(of sql: UnsafeRawBufferPointer) -> Keyword {
        var tokens = SQLTokenizer(sql)
        while let token = tokens.next() {
            guard case .word(let range) = token else {
                if token == .semicolon { continue }
                return .other
            }
            if tokens.isKeyword(range, "VACUUM") { return .vacuum }
            if tokens.isKeyword(range, "ANALYZE") { return .analyze }
            if tokens.isKeyword(range, "PRAGMA") { return .pragma }
            if tokens.isKeyword(range, "CREATE") { return .create }
            let changesData =
                tokens.isKeyword(range, "INSERT") || tokens.isKeyword(range, "REPLACE")
                || tokens.isKeyword(range, "UPDATE") || tokens.isKeyword(range, "DELETE")
                || tokens.isKeyword(range, "WITH")
            return changesData ? .data : .other
        }
        return .other
    }
}

extension Guard {
    /// The error with our own reason in place of SQLite's "not authorized".
    func explaining(_ error: SQLiteError) -> SQLiteError {
        guard let denial else { return error }
        return SQLiteError(extendedCode: error.extendedCode, message: denial)
    }
}
