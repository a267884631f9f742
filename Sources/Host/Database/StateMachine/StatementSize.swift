internal import CSQLite
internal import SQLite

/// How much of a statement stands in lists that SQLite's compiler goes through again for each of
/// their members, which shows neither in steps nor in what it allocates: 8000 terms of a WHERE clause
/// take seconds. Only the statement's own tokens are looked at, not the text behind it.
struct StatementSize {
    /// SQLite goes through all common table expressions of a statement for each of them.
    private static let mostCommonTables = 2000
    /// SQLite limits how deep an expression is, but not how broad.
    private static let mostTerms = 5000
    /// Shorter statements can't hold enough to matter.
    private static let shortText = 4096
    /// So many are hardly measurable.
    private static let freeTerms = 1000

    private var commonTables = 0
    /// Of AND and OR in all the statement's expressions.
    private(set) var terms = 0
    /// The bytes of its large values: of those that, bound, would count as held.
    private(set) var literalBytes: Int64 = 0
    private static let largeLiteral = 16 << 10

    /// - Parameter sql: begins with the statement.
    init(_ sql: UnsafeRawBufferPointer) {
        guard sql.count > Self.shortText else { return }
        var tokens = SQLTokenizer(sql)
        while let token = tokens.next(), token != .semicolon {
            if case .quoted(let range) = token, range.count >= Self.largeLiteral {
                literalBytes += Int64(range.count)
            }
            guard case .word(let range) = token else { continue }
            if tokens.isKeyword(range, "AND") || tokens.isKeyword(range, "OR") {
                terms += 1
            } else if tokens.isKeyword(range, "AS"), Self.namesCommonTable(tokens) {
                commonTables += 1
            }
        }
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
    /// - Parameter isPoor: the request has nothing left of its steps, so only what costs none is.
    func refusal(isPoor: Bool) -> SQLiteError? {
        if commonTables > Self.mostCommonTables {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message: "too many common table expressions: at most \(Self.mostCommonTables)")
        }
        if terms > Self.mostTerms || isPoor && terms > Self.freeTerms {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message: "too many terms of AND and OR: at most \(Self.mostTerms) in a statement")
        }
        return nil
    }
}
