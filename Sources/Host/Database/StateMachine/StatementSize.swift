internal import CSQLite
internal import SQLite

/// How much of a statement stands in lists that SQLite's compiler goes through again for each of
/// their members, which shows neither in steps nor in what it allocates: 8000 terms of a WHERE clause
/// take seconds, and 1500 window functions minutes. Only the statement's own tokens are looked at, not the text behind it.
struct StatementSize {
    /// SQLite goes through all common table expressions of a statement for each of them.
    private static let mostCommonTables = 2000
    /// SQLite limits how deep an expression is, but not how broad.
    private static let mostTerms = 5000
    /// In half a second SQLite makes so many.
    private static let mostUniques = 1000
    /// What they refer to may stand in one list (`SchemaNames`).
    private static let mostReferences = 4000
    /// Shorter statements can't hold enough to matter.
    private static let shortText = 4096
    /// So many are hardly measurable.
    private static let freeTerms = 1000

    /// Words, texts, operators and the like.
    private(set) var tokens = 0
    private var commonTables = 0
    /// Of AND and OR in all the statement's expressions, and of row values that are compared.
    private(set) var terms = 0
    /// Numbers, texts and parameters.
    private(set) var constants = 0
    /// What compiling it costs beside its text and what it allocates, in steps; see `CompilationCost`.
    private(set) var cost = CompilationCost()
    /// What its names cost to be looked for, in steps; see `ColumnLookups`.
    var lookupSteps = 0
    /// The bytes of its large values: of those that, bound, would count as held.
    private(set) var literalBytes: Int64 = 0
    static let largeLiteral = 16 << 10

    /// - Parameter sql: begins with the statement.
    init(_ sql: UnsafeRawBufferPointer) {
        guard sql.count > Self.shortText else { return }
        add(sql, isStored: false)
    }

    /// What becomes part of the schema, with the semicolons that stand in it.
    init(stored sql: UnsafeRawBufferPointer) { add(sql, isStored: true) }

    private mutating func add(_ sql: UnsafeRawBufferPointer, isStored: Bool) {
        var tokens = SQLTokenizer(sql)
        var trigger = TriggerRule()
        var rowValues = RowValues()
        var hasBegun = isStored
        while let token = tokens.next() {
            self.tokens += 1
            if token == .semicolon, !isStored {
                // SQLite passes over those in front of a statement, and a trigger has some within.
                guard hasBegun else { continue }
                if trigger.endsStatement(at: &tokens) { break }
            } else if !hasBegun {
                hasBegun = true
                if case .word(let range) = token { trigger.begin(with: range, &tokens) }
            }
            if case .quoted(let range) = token, range.count >= Self.largeLiteral {
                literalBytes += Int64(range.count)
            }
            if Self.isConstant(token, in: sql) { constants += 1 }
            terms += rowValues.terms(token, tokens)
            cost.add(token, tokens)
            guard case .word(let range) = token else { continue }
            if tokens.isKeyword(range, "AND") || tokens.isKeyword(range, "OR") {
                terms += 1
            } else if tokens.isKeyword(range, "AS"), Self.namesCommonTable(tokens) {
                commonTables += 1
            }
        }
        cost.end(at: tokens.offset)
    }

    private static func isConstant(_ token: SQLTokenizer.Token, in sql: UnsafeRawBufferPointer)
        -> Bool
    {
        switch token {
        case .word(let range):
            sql[range.lowerBound] == UInt8(ascii: "$")
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(sql[range.lowerBound])
        case .quoted(let range): sql[range.lowerBound - 1] == UInt8(ascii: "'")
        case .other(UInt8(ascii: "?")), .other(UInt8(ascii: ":")), .other(UInt8(ascii: "@")),
            .other(UInt8(ascii: "#")):
            true
        case .semicolon, .other: false
        }
    }

    /// SQLite compares each constant with all that it has put aside to be made once, instead of in each
    /// row. Where they are many it is told not to.
    static let mostFactored = 2000

    /// Steps that are charged for compiling it, beside its text and what it allocates.
    var steps: Int { min(terms * terms / 2 + cost.steps + lookupSteps, CompilationCost.most) }

    /// Adds what is known once it is compiled: what it uses of the schema, and what it uses many times.
    /// - Parameter columns: of the widest table.
    mutating func noteLookups(_ facts: StatementFacts, columns: Int) {
        lookupSteps += facts.storedLookups.steps(columns: columns)
        let found = ColumnLookups.Count(names: facts.foundNames).steps(columns: columns)
        if found > CompilationCost.free { lookupSteps = max(lookupSteps, found) }
    }

    /// Adds what it took to plan its joins, which shows in allocations alone where one is planned many times; see `JoinPlan`.
    /// - Parameters:
    ///   - count: of its own text.
    ///   - textBytes: for so much text some allocations cost nothing.
    mutating func notePlans(
        of count: ColumnLookups.Count, _ facts: StatementFacts, allocations: Int64, textBytes: Int
    ) {
        let more = max(0, allocations - CompilationMemory.free(textBytes: textBytes))
        lookupSteps = max(lookupSteps, Int(more) * max(count.planned, facts.storedLookups.planned))
    }

    /// AS [NOT] MATERIALIZED (
    private static func namesCommonTable(_ tokens: SQLTokenizer) -> Bool {
        var following = tokens
        var next = following.next()
        while case .word(let range) = next,
            following.isKeyword(range, "NOT") || following.isKeyword(range, "MATERIALIZED")
        {
            next = following.next()
        }
        return next == .other(UInt8(ascii: "("))
    }

    /// Why the statement is not even tried.
    /// - Parameter stepsLeft: of the request; none: only what costs none is tried.
    func refusal(stepsLeft: Int) -> SQLiteError? {
        if commonTables > Self.mostCommonTables {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message: "too many common table expressions: at most \(Self.mostCommonTables)")
        }
        if cost.uniques > Self.mostUniques {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message: "too many UNIQUE constraints: at most \(Self.mostUniques) in a table")
        }
        if cost.references > Self.mostReferences {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message: "too many foreign keys: at most \(Self.mostReferences) in a statement")
        }
        if cost.steps > max(stepsLeft, CompilationCost.free) {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message: "compiling the statement takes more steps than the request may: use fewer "
                    + "window functions, aggregates and terms of ORDER BY and GROUP BY")
        }
        if lookupSteps > max(stepsLeft, CompilationCost.free) {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message:
                    "compiling the statement takes more steps than the request may: say of which "
                    + "table its columns are, and join fewer tables at once")
        }
        if terms > Self.mostTerms || stepsLeft <= 0 && terms > Self.freeTerms {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message: "too many terms of AND, OR and row values: at most \(Self.mostTerms) in a "
                    + "statement")
        }
        return nil
    }
}
