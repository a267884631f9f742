internal import CSQLite
internal import SQLite

/// What a statement becomes after `PRAGMA case_sensitive_like=ON` in its request.
///
/// SQLite's own PRAGMA replaces the function `like()` of a connection for good, by one that no index
/// and no generated column may use: that connection could no longer read every schema, and an index
/// over LIKE would get entries that other requests don't find. So the function stays, and LIKE in the
/// request's own statements becomes another operator, REGEXP, with a function of ours. SQLite's
/// grammar has both at the same places and SQLite has no function for the second. What stands in the
/// schema (views, triggers, indexes, CHECK, generated columns) keeps its meaning.
enum SensitiveLike: Equatable {
    /// The statement has no LIKE, or stores it.
    case absent
    /// The statement in the other words, with a NUL behind it.
    case text([UInt8])
    /// In words for the client.
    case refused(String)

    /// - Parameter sql: one statement, which SQLite can compile.
    init(_ sql: UnsafeRawBufferPointer) {
        let places = Self.places(in: sql)
        if places.isEmpty {
            self = .absent
        } else if csqlite_leaves_regexp() != 0 {
            self = .refused(
                "LIKE after PRAGMA case_sensitive_like=ON is not supported where an extension has "
                    + "regexp(): use GLOB")
        } else if Self.isStored(sql) {
            self = Self.fillsTable(sql) ? .refused(Self.refusal) : .absent
        } else {
            self = .text(Self.replacing(places, in: sql))
        }
    }

    private static let refusal =
        "CREATE TABLE … AS with LIKE is not supported after PRAGMA case_sensitive_like=ON: create the "
        + "table first, then fill it"

    /// Where LIKE stands, and is no part of a name with dots.
    private static func places(in sql: UnsafeRawBufferPointer) -> [Range<Int>] {
        var tokens = SQLTokenizer(sql)
        var places: [Range<Int>] = []
        var isAfterDot = false
        while let token = tokens.next() {
            if case .word(let range) = token, !isAfterDot, tokens.isKeyword(range, "LIKE") {
                places.append(range)
            }
            isAfterDot = token == .other(UInt8(ascii: "."))
        }
        return places
    }

    private static func firstWord(_ tokens: inout SQLTokenizer) -> Range<Int>? {
        while let token = tokens.next() {
            if case .word(let range) = token { return range }
        }
        return nil
    }

    /// It becomes part of the schema.
    private static func isStored(_ sql: UnsafeRawBufferPointer) -> Bool {
        var tokens = SQLTokenizer(sql)
        guard let first = firstWord(&tokens) else { return false }
        return tokens.isKeyword(first, "CREATE") || tokens.isKeyword(first, "ALTER")
    }

    /// CREATE TABLE name AS: what is created are rows.
    private static func fillsTable(_ sql: UnsafeRawBufferPointer) -> Bool {
        var tokens = SQLTokenizer(sql)
        guard firstWord(&tokens) != nil, let kind = firstWord(&tokens),
            tokens.isKeyword(kind, "TABLE")
        else { return false }
        while let token = tokens.next(), token != .other(UInt8(ascii: "(")) {
            if case .word(let range) = token, tokens.isKeyword(range, "AS") { return true }
        }
        return false
    }

    private static func replacing(_ places: [Range<Int>], in sql: UnsafeRawBufferPointer)
        -> [UInt8]
    {
        var text: [UInt8] = []
        text.reserveCapacity(sql.count + 2 * places.count + 1)
        var copied = 0
        for place in places {
            text.append(contentsOf: sql[copied..<place.lowerBound])
            text.append(contentsOf: "REGEXP".utf8)
            copied = place.upperBound
        }
        text.append(contentsOf: sql[copied...])
        text.append(0)
        return text
    }
}
