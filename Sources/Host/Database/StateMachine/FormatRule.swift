internal import SQLite
internal import Wire

/// What `matchinfo()`, a function of FTS3 and FTS4, may be told to find out about a row: for each character of its second
/// argument it goes through all hits in the row, in one step, and SQLite reports and allocates nothing meanwhile. So that
/// has to be short: a text that stands where it is called, or a parameter, whose value is looked at when it is bound.
enum FormatRule {
    /// More than there are characters that mean something.
    private static let mostBytes = 64

    /// Why a statement is refused, in words for the client.
    static let text =
        "the second argument of matchinfo() must be a text in single quotes, or a parameter, of at most "
        + "\(mostBytes) bytes"

    /// Why the statement is refused, in words for the client; nil when it isn't.
    static func refusal(of sql: UnsafeRawBufferPointer) -> String? {
        parameters(of: sql) == nil ? text : nil
    }

    /// Whether a value that is bound to such a parameter is refused.
    static func isTooLong(_ value: Value) -> Bool {
        switch value {
        case .null, .integer, .real: false
        case .text(let text): text.utf8.count > mostBytes
        case .blob(let bytes): bytes.count > mostBytes
        }
    }

    /// The parameters that are such an argument, by their numbers from 1. Nil: one is something else, or too long.
    static func parameters(of sql: UnsafeRawBufferPointer) -> Set<Int>? {
        var tokens = SQLTokenizer(sql)
        var places: Set<Int> = []
        while let token = tokens.next() {
            guard isName(token, tokens) else { continue }
            var following = tokens
            guard following.next() == .other(UInt8(ascii: "(")) else { continue }
            switch secondArgument(&following, in: sql) {
            case .short: break
            case .parameter(let place): places.insert(place)
            case .other: return nil
            }
        }
        return places.isEmpty ? [] : SQLParameter.numbers(of: places, in: sql)
    }

    private static func isName(_ token: SQLTokenizer.Token, _ tokens: SQLTokenizer) -> Bool {
        switch token {
        case .word(let range): tokens.isKeyword(range, "MATCHINFO")
        case .quoted(let range): tokens.lowercased(range) == "matchinfo"
        case .semicolon, .other: false
        }
    }

    private enum Format {
        /// Or there is none.
        case short
        /// Begins at this byte.
        case parameter(Int)
        case other
    }

    private static func secondArgument(
        _ tokens: inout SQLTokenizer, in sql: UnsafeRawBufferPointer
    ) -> Format {
        var depth = 0
        while let token = tokens.next() {
            switch token {
            case .other(UInt8(ascii: "(")): depth += 1
            case .other(UInt8(ascii: ")")):
                if depth == 0 { return .short }
                depth -= 1
            case .other(UInt8(ascii: ",")) where depth == 0:
                let found = format(&tokens, in: sql)
                return tokens.next() == .other(UInt8(ascii: ")")) ? found : .other
            case .semicolon, .word, .quoted, .other: break
            }
        }
        // SQLite doesn't take it.
        return .short
    }

    /// What the next token begins.
    private static func format(
        _ tokens: inout SQLTokenizer, in sql: UnsafeRawBufferPointer
    ) -> Format {
        guard let token = tokens.next() else { return .other }
        if case .quoted(let range) = token {
            let isText = sql[range.lowerBound - 1] == UInt8(ascii: "'")
            return isText && range.count <= mostBytes ? .short : .other
        }
        guard let parameter = SQLParameter(token, &tokens, in: sql) else { return .other }
        return .parameter(parameter.place)
    }
}
