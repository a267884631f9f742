internal import SQLite

/// How often SQLite looks for a name among the columns of a table while it compiles a statement, which shows neither in
/// steps nor in what it allocates: for each name that no table is said of it goes through the columns of all tables that
/// the SELECT around it reads, and for NATURAL JOIN it does so for each column of the table on its right.
///
/// Only the statement's own tokens are looked at, as for `StatementSize`; what is in the views and triggers that it uses
/// is known of these (`StoredLiterals`). A view or common table expression that is used many times is looked through as
/// often: those names count that SQLite tells the authorizer of (`Guard.noteName`).
struct ColumnLookups {
    /// Names, and tables on the right of NATURAL JOIN, each by the tables in whose columns it is looked for.
    struct Count: Equatable, Sendable {
        var names = 0
        var naturals = 0
        /// The most that one SELECT reads.
        var tables = 0
        /// What planning its joins takes, in steps; see `JoinPlan`.
        var joins = 0
        /// The most that planning one takes for each allocation, likewise.
        var planned = 0

        mutating func add(_ other: Count) {
            tables = max(tables, other.tables)
            joins = min(joins + other.joins, ColumnLookups.most)
            planned = max(planned, other.planned)
            names = min(names + other.names, ColumnLookups.most)
            naturals = min(naturals + other.naturals, ColumnLookups.most)
        }

        /// What they take, in steps.
        /// - Parameter columns: of the widest table.
        func steps(columns: Int) -> Int {
            let width = min(max(columns, ColumnLookups.leastColumns), ColumnLookups.mostColumns)
            return (names * width + naturals * width * width) / ColumnLookups.columnsPerStep + joins
        }
    }

    /// How many names, each by the tables in whose columns it is looked for, take so many steps.
    /// - Parameter columns: of the widest table.
    static func names(steps: Int, columns: Int) -> Int {
        let width = min(max(columns, leastColumns), mostColumns)
        let (passed, isOver) = steps.multipliedReportingOverflow(by: columnsPerStep)
        return isOver ? .max : passed / width
    }

    static let tooManyText =
        "compiling the statement takes more steps than the request may: use fewer views and common table "
        + "expressions that join wide tables, and say of which table their columns are"

    /// Columns that it passes in the time of a step.
    private static let columnsPerStep = 32
    /// Tables that have fewer columns are taken to have as many: those of modules are in no schema.
    private static let leastColumns = 16
    /// No table has more columns.
    private static let mostColumns = 2000
    /// No SELECT reads more tables.
    private static let mostTables = 200
    /// What is in more parentheses isn't looked at: SQLite takes none of it.
    private static let mostOpen = 10_000
    /// More of either is days, and no number that grows.
    private static let most = 1 << 36

    /// A SELECT, or what stands in parentheses.
    private struct Level {
        /// In it and in those within, which look further in this one.
        var names = 0
        var naturals = 0
        var tables = 0
        var isInList = false
        /// Between columns, or other parts of a list.
        var commas = 0
        /// The members of its list are no columns: they are rows, or values behind IN.
        var hasNoColumns = false
        /// They are the columns that an INSERT fills.
        var isTarget = false
        /// With those in parentheses, which SQLite may take for parts of this SELECT.
        var plan = JoinPlan()
    }

    /// The innermost last.
    private var open = [Level()]
    private var deeper = 0
    private var isBehindIn = false
    private var isBehindInto = false
    /// The most tables that one SELECT reads.
    private var tables = 0
    /// Columns of the widest list, which may be those of a subquery or common table expression, or more.
    private(set) var widest = 0
    /// Names by the tables in whose columns they are looked for.
    private(set) var names = 0
    /// The tables on the right of NATURAL JOIN, likewise.
    private(set) var naturals = 0
    private var joins = 0
    private var planned = 0

    /// - Parameter sql: begins with the statement.
    init(_ sql: UnsafeRawBufferPointer) {
        var tokens = SQLTokenizer(sql)
        var trigger = TriggerRule()
        var hasBegun = false
        while let token = tokens.next() {
            if token == .semicolon {
                guard hasBegun else { continue }
                if trigger.endsStatement(at: &tokens) { break }
                endSelect()
                continue
            }
            if !hasBegun {
                hasBegun = true
                if case .word(let range) = token { trigger.begin(with: range, &tokens) }
            }
            add(token, in: sql, tokens)
        }
        while open.count > 1 { close() }
        endSelect()
    }

    /// What they take, in steps.
    /// - Parameter columns: of the widest table.
    func steps(columns: Int) -> Int { count.steps(columns: max(columns, widest)) }

    var count: Count {
        Count(names: names, naturals: naturals, tables: tables, joins: joins, planned: planned)
    }

    private mutating func add(
        _ token: SQLTokenizer.Token, in sql: UnsafeRawBufferPointer, _ tokens: SQLTokenizer
    ) {
        let last = open.count - 1
        let holdsMembers = isBehindIn
        isBehindIn = false
        switch token {
        case .other(UInt8(ascii: "(")):
            if open.count < Self.mostOpen {
                open.append(Level(hasNoColumns: holdsMembers, isTarget: isBehindInto))
                isBehindInto = false
            } else {
                deeper += 1
            }
        case .other(UInt8(ascii: ")")):
            // One too many is an error of its own.
            if deeper > 0 { deeper -= 1 } else if last > 0 { close() }
        case .other(UInt8(ascii: ",")):
            if open[last].isInList { open[last].tables += 1 } else { open[last].commas += 1 }
        case .word(let range): add(word: range, in: sql, tokens)
        case .quoted(let range):
            if sql[range.lowerBound - 1] != UInt8(ascii: "'") { open[last].names += 1 }
        case .semicolon, .other: break
        }
    }

    private static let sources: [StaticString] = ["VALUES", "SELECT", "WITH", "DEFAULT"]
    private static let conditions: [StaticString] = ["AND", "ON", "USING"]
    private static let compounds: [StaticString] = ["UNION", "INTERSECT", "EXCEPT"]
    private static let endsOfLists: [StaticString] = [
        "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW", "SELECT", "RETURNING",
    ]

    private mutating func add(
        word range: Range<Int>, in sql: UnsafeRawBufferPointer, _ tokens: SQLTokenizer
    ) {
        // A number.
        if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(sql[range.lowerBound]) { return }
        let last = open.count - 1
        if tokens.isKeyword(range, "INTO") {
            isBehindInto = true
        } else if isBehindInto, Self.sources.contains(where: { tokens.isKeyword(range, $0) }) {
            isBehindInto = false
        }
        if Self.conditions.contains(where: { tokens.isKeyword(range, $0) }) {
            open[last].plan.terms += 1
        }
        if tokens.isKeyword(range, "FROM") {
            open[last].tables += 1
            open[last].isInList = true
        } else if tokens.isKeyword(range, "JOIN") {
            open[last].tables += 1
        } else if tokens.isKeyword(range, "NATURAL") {
            open[last].naturals += 1
        } else if Self.compounds.contains(where: { tokens.isKeyword(range, $0) }) {
            endSelect()
        } else if Self.endsOfLists.contains(where: { tokens.isKeyword(range, $0) }) {
            open[last].isInList = false
        } else {
            isBehindIn = tokens.isKeyword(range, "IN")
            if tokens.isKeyword(range, "VALUES") { open[last].hasNoColumns = true }
            open[last].names += 1
        }
    }

    /// The SELECT of the innermost level is over; what is in parentheses goes on.
    private mutating func endSelect() {
        let last = open.count - 1
        let level = open[last]
        let joined = min(level.tables, Self.mostTables)
        names = min(names + level.names * joined, Self.most)
        naturals = min(naturals + level.naturals * joined, Self.most)
        tables = max(tables, joined)
        var plan = level.plan
        plan.tables += level.tables
        plan.terms += level.naturals * JoinPlan.termsOfNatural
        joins = min(joins + plan.steps, Self.most)
        planned = max(planned, plan.stepsPerAllocation)
        if !level.hasNoColumns { widest = max(widest, level.commas + 1) }
        open[last] = Level()
        guard last > 0 else { return }
        open[last - 1].names += level.names
        open[last - 1].plan.add(plan)
    }

    private mutating func close() {
        let level = open[open.count - 1]
        // More than a table has, each of which is looked for.
        if level.isTarget, level.names > Self.mostColumns {
            names = min(names + level.names, Self.most)
        }
        endSelect()
        open.removeLast()
    }
}
