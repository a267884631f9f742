internal import SQLite

/// What SQLite does for some lists of a statement while it compiles it, by their length and depth, in steps
/// of about the same time (measured with 3.40.1):
///
/// - each window function of a SELECT is written anew for those before it: 400 take a second;
/// - each aggregate is compared with up to 2000 others, as deep as their arguments are;
/// - each term of ORDER BY is compared with all columns of the result, as deep as these are, and each of
///   GROUP BY with all expressions: 100 by 100 of 900 terms each take a second;
/// - for each UNIQUE of a table all those before it are gone through: 4000 take seconds, and one whenever
///   the schema is read.
struct CompilationCost {
    /// So much is hardly measurable, and needs nothing of what a request has left.
    static let free = 100_000
    /// What a view or trigger may cost: whoever uses it compiles it, and may do so many times.
    static let mostStored = 4_000_000
    /// More says no more: it is weeks, and what the statements of a request cost together is still a
    /// number.
    static let most = 1 << 48

    private var windows = 0
    private var aggregates = 0
    private var terms = 0
    /// Constraints of a table.
    private(set) var uniques = 0
    /// Foreign keys.
    private(set) var references = 0
    /// Between parts that stand in no parentheses, as the columns of a view, and in one pair, as those of a table.
    private(set) var commas = (outer: 0, inner: 0)
    private var bytes = 0
    private var depth = 0
    /// The depths of parentheses at which a list of ORDER BY or GROUP BY goes on.
    private var lists: [Int] = []
    private static let mostAggregates = 2000

    mutating func add(_ token: SQLTokenizer.Token, _ tokens: SQLTokenizer) {
        switch token {
        case .other(UInt8(ascii: "(")): depth += 1
        case .other(UInt8(ascii: ")")):
            depth -= 1
            while let last = lists.last, last > depth { lists.removeLast() }
        case .other(UInt8(ascii: ",")):
            if lists.last == depth { terms += 1 }
            if depth == 0 { commas.outer += 1 }
            if depth == 1 { commas.inner += 1 }
        case .word(let range): add(word: range, tokens)
        case .semicolon, .quoted, .other: break
        }
    }

    private mutating func add(word range: Range<Int>, _ tokens: SQLTokenizer) {
        if tokens.isKeyword(range, "OVER") {
            windows += 1
        } else if tokens.isKeyword(range, "ORDER") || tokens.isKeyword(range, "GROUP") {
            guard Self.isFollowed(by: "BY", tokens) else { return }
            terms += 1
            if lists.last != depth { lists.append(depth) }
        } else if tokens.isKeyword(range, "SELECT") {
            if lists.last == depth { lists.removeLast() }
        } else if tokens.isKeyword(range, "UNIQUE") {
            uniques += 1
        } else if tokens.isKeyword(range, "REFERENCES") {
            references += 1
        } else if Self.aggregateNames.contains(where: { tokens.isKeyword(range, $0) }) {
            var following = tokens
            if following.next() == .other(UInt8(ascii: "(")) { aggregates += 1 }
        }
    }

    private static let aggregateNames: [StaticString] = [
        "COUNT", "SUM", "MIN", "MAX", "AVG", "TOTAL", "GROUP_CONCAT", "JSON_GROUP_ARRAY",
        "JSON_GROUP_OBJECT",
    ]

    private static func isFollowed(by keyword: StaticString, _ tokens: SQLTokenizer) -> Bool {
        var following = tokens
        guard case .word(let range)? = following.next() else { return false }
        return following.isKeyword(range, keyword)
    }

    /// The statement has so many bytes.
    mutating func end(at bytes: Int) { self.bytes = bytes }

    var steps: Int {
        // The cube of more is no integer.
        let many = min(windows, 1 << 20)
        let cube = many * many * many / 4
        let compared = bytes * min(aggregates, Self.mostAggregates) / 8
        return min(cube + compared + bytes * terms + 4 * uniques * uniques, Self.most)
    }
}
