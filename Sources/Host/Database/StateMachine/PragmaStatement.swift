internal import SQLite

/// A PRAGMA as a client wrote it: `PRAGMA [schema.]name`, `… = value` or `… (value)`.
struct PragmaStatement: Equatable {
    /// In lower case.
    var schema: String?
    var name: String
    var argument: String?
    /// Bytes it takes of the text, up to where the next statement begins.
    var end: Int

    /// Nil when it is no PRAGMA, or one whose syntax SQLite had better judge.
    init?(_ sql: UnsafeRawBufferPointer) {
        var tokens = SQLTokenizer(sql)
        var first = tokens.next()
        while first == .semicolon { first = tokens.next() }
        guard case .word(let keyword)? = first, tokens.isKeyword(keyword, "PRAGMA"),
            var found = Self.name(tokens.next(), tokens)
        else { return nil }
        var next = tokens.next()
        if next == .other(UInt8(ascii: ".")) {
            schema = found
            guard let second = Self.name(tokens.next(), tokens) else { return nil }
            found = second
            next = tokens.next()
        }
        name = found
        if next == .other(UInt8(ascii: "=")) || next == .other(UInt8(ascii: "(")) {
            let isParenthesized = next == .other(UInt8(ascii: "("))
            guard let value = Self.value(&tokens, sql) else { return nil }
            argument = value
            next = tokens.next()
            if isParenthesized {
                guard next == .other(UInt8(ascii: ")")) else { return nil }
                next = tokens.next()
            }
        }
        guard next == nil || next == .semicolon else { return nil }
        end = next == nil ? sql.count : tokens.offset
    }

    private static func name(_ token: SQLTokenizer.Token?, _ tokens: SQLTokenizer) -> String? {
        switch token {
        case .word(let range), .quoted(let range): tokens.lowercased(range)
        default: nil
        }
    }

    /// A name, a text, or a number with its sign.
    private static func value(_ tokens: inout SQLTokenizer, _ sql: UnsafeRawBufferPointer)
        -> String?
    {
        var sign = ""
        var token = tokens.next()
        if token == .other(UInt8(ascii: "-")) || token == .other(UInt8(ascii: "+")) {
            sign = token == .other(UInt8(ascii: "-")) ? "-" : ""
            token = tokens.next()
        }
        switch token {
        case .word(let range):
            var end = range.upperBound
            // The fraction of a number.
            var rest = tokens
            while end < sql.count, sql[end] == UInt8(ascii: "."),
                rest.next() == .other(UInt8(ascii: "."))
            {
                tokens = rest
                end += 1
                if case .word(let digits)? = rest.next(), digits.lowerBound == end {
                    tokens = rest
                    end = digits.upperBound
                }
            }
            return sign + String(decoding: sql[range.lowerBound..<end], as: UTF8.self)
        case .quoted(let range):
            let quote = sql[range.lowerBound - 1]
            let text = String(decoding: sql[range], as: UTF8.self)
            return quote == UInt8(ascii: "[") ? text : text.unquoted(from: quote)
        default: return nil
        }
    }

    /// What is compiled in its place, where SQLite's own answer would depend on the connection: on
    /// its history, or on whether it writes. Nil: the PRAGMA itself.
    var translation: String? {
        // As a setting it is judged as one.
        if argument != nil, Self.isConnectionsOwn(name) { return nil }
        guard let columns = Self.lists[name] else { return nil }
        let list = columns.map { "+\"\($0)\" AS \"\($0)\"" }.joined(separator: ", ")
        var sql = "SELECT \(list) FROM main.\(Self.listPrefix)\(name)"
        if columns == [name], Self.isConnectionsOwn(name) { return sql }
        if name == "table_list" || name == "function_list" || name == "module_list" {
            if let argument, name == "table_list" { sql += "(\(argument.quotedText))" }
            if let schema, name == "table_list" { sql += " WHERE schema = \(schema.quotedText)" }
            return sql
        }
        let arguments = [argument?.quotedText ?? "NULL", schema?.quotedText ?? "NULL"]
        return sql + "(\(arguments.joined(separator: ", ")))"
    }

    /// Whether SQLite's own answer must not be given, for it is that of one connection.
    static func isOwnList(_ name: String) -> Bool {
        lists[name] != nil && !isConnectionsOwn(name)
    }

    /// What each connection answers for itself, and here gets one answer.
    private static func isConnectionsOwn(_ name: String) -> Bool {
        name == "journal_mode" || name == "max_page_count" || name == "data_version"
    }

    private static let listPrefix = "sqlite_rqlite_list_"

    /// The lists that we sort, with their columns (see CSQLite.h).
    private static let lists: [String: [String]] = [
        "table_list": ["schema", "name", "type", "ncol", "wr", "strict"],
        "foreign_key_check": ["table", "rowid", "parent", "fkid"],
        "integrity_check": ["integrity_check"],
        "quick_check": ["quick_check"],
        "function_list": ["name", "builtin", "type", "enc", "narg", "flags"],
        "module_list": ["name"],
        "journal_mode": ["journal_mode"], "max_page_count": ["max_page_count"],
        "data_version": ["data_version"],
    ]
}
