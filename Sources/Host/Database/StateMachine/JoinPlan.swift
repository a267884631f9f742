/// What SQLite's planner takes for a join: of each table it looks for all ways to reach a row, by an index and values from
/// some of the other tables, and compares each with all that it has. How many there are doubles with each term that ties the table to
/// another one, up to a bound of SQLite's. A join of 63 tables by ten terms for each takes it 15 seconds.
struct JoinPlan: Equatable {
    var tables = 0
    /// AND and the like.
    var terms = 0

    /// NATURAL JOIN ties as many columns, or more.
    static let termsOfNatural = 16
    /// Ways that SQLite looks at, at most (`SQLITE_QUERY_PLANNER_LIMIT`), and for each table.
    private static let ways = 20_000
    private static let waysPerTable = 1000
    /// No SELECT reads more.
    private static let mostTables = 64
    private static let mostTies = 16
    /// Comparisons in the time of a step.
    private static let waysPerStep = 32
    /// To look at so many is hardly measurable.
    private static let freeWays = 1000

    /// A part of it that stands in parentheses.
    mutating func add(_ other: JoinPlan) {
        // A subquery is a table of its own there already.
        tables = min(tables + max(0, other.tables - 1), 1 << 20)
        terms = min(terms + other.terms, 1 << 30)
    }

    var steps: Int { found * found / Self.waysPerStep }

    /// What it takes for each allocation, about, where there are many ways: a join that stands in a view or common table
    /// expression is planned anew for each use, and one over a UNION ALL for each part of that.
    var stepsPerAllocation: Int {
        found == 0 ? 0 : min(tables, Self.mostTables) * Self.stepsPerAllocationOfTable
    }
    private static let stepsPerAllocationOfTable = 64

    /// Ways that it looks at; zero: few.
    private var found: Int {
        guard tables > 1 else { return 0 }
        let joined = min(tables, Self.mostTables)
        let ties = min(2 * terms / joined, joined - 1, Self.mostTies)
        let found = min(joined << ties, Self.ways + joined * Self.waysPerTable)
        return found > Self.freeWays ? found : 0
    }
}
