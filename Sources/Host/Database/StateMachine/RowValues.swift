internal import SQLite

/// Counts the members of row values that are compared where a condition stands: to SQLite's planner
/// `(a, b, …) = (c, d, …)` is what `a = c AND b = d AND …` is.
///
/// Other lists in parentheses are none: they follow a name, IN, VALUES or SET, and may be long.
struct RowValues {
    private enum Side {
        case left, right
    }

    /// Within a parenthesis that is open.
    private struct Level {
        /// Of a comparison, by what stands in front of it; nil: of none.
        var side: Side?
        /// It holds a query: how many columns that has the other side says.
        var isQuery: Bool
        var commas = 0
    }

    /// The innermost last.
    private var open: [Level] = []
    /// Those within the last that are not looked at.
    private var deeper = 0
    /// SQLite takes nothing that stands in more parentheses, of which a text has room for millions.
    private static let mostOpen = 10_000
    /// What an opening parenthesis would be, were it the next token.
    private var next: Side?

    /// Takes a token.
    /// - Parameter tokens: what follows it.
    /// - Returns: as many AND as stand in its place.
    mutating func terms(_ token: SQLTokenizer.Token, _ tokens: SQLTokenizer) -> Int {
        switch token {
        case .other(UInt8(ascii: "(")):
            guard open.count < Self.mostOpen else {
                deeper += 1
                return 0
            }
            // Those in one another are sides alike.
            open.append(Level(side: next, isQuery: Self.beginsQuery(tokens)))
        case .other(UInt8(ascii: ")")):
            guard deeper == 0 else {
                deeper -= 1
                return 0
            }
            return close(tokens)
        case .other(UInt8(ascii: ",")):
            if !open.isEmpty, deeper == 0 { open[open.count - 1].commas += 1 }
            next = nil
        case .word(let range):
            if Self.isOne(of: Self.conditions, range, tokens) {
                next = .left
            } else if !Self.isOne(of: Self.operators, range, tokens) {
                next = nil
            }
        case .other(let byte) where Self.compares(byte): break
        case .semicolon, .quoted, .other: next = nil
        }
        return 0
    }

    private mutating func close(_ tokens: SQLTokenizer) -> Int {
        next = nil
        guard let closed = open.popLast(), let side = closed.side else { return 0 }
        if side == .right { return closed.isQuery ? 0 : closed.commas }
        var following = tokens
        let token = following.next()
        if token == .other(UInt8(ascii: ")")), !open.isEmpty {
            let outer = open.count - 1
            open[outer].commas = max(open[outer].commas, closed.commas)
            open[outer].isQuery = open[outer].isQuery || closed.isQuery
            return 0
        }
        guard Self.isComparison(token, following) else { return 0 }
        // Otherwise both sides have as many.
        if closed.isQuery { next = .right }
        return closed.isQuery ? 0 : closed.commas
    }

    private static let conditions: [StaticString] = ["WHERE", "AND", "OR", "ON", "HAVING"]
    /// IS [NOT] [DISTINCT FROM]
    private static let operators: [StaticString] = ["IS", "NOT", "DISTINCT", "FROM"]
    private static let queries: [StaticString] = ["SELECT", "VALUES", "WITH"]

    private static func isOne(
        of keywords: [StaticString], _ range: Range<Int>, _ tokens: SQLTokenizer
    ) -> Bool {
        keywords.contains { tokens.isKeyword(range, $0) }
    }

    private static func compares(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "="), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "!"): true
        default: false
        }
    }

    private static func isComparison(_ token: SQLTokenizer.Token?, _ tokens: SQLTokenizer) -> Bool {
        switch token {
        case .other(let byte): compares(byte)
        case .word(let range): isOne(of: ["IS", "IN"], range, tokens)
        case .semicolon, .quoted, nil: false
        }
    }

    private static func beginsQuery(_ tokens: SQLTokenizer) -> Bool {
        var following = tokens
        guard case .word(let range)? = following.next() else { return false }
        return isOne(of: queries, range, following)
    }
}
