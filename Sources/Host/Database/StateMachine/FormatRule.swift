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
    ///
    /// Once over the text, however many of the calls stand in one another: not all texts that are looked at were
    /// compiled, and those that were may have a thousand around a list of a million values.
    static func parameters(of sql: UnsafeRawBufferPointer) -> Set<Int>? {
        var tokens = SQLTokenizer(sql)
        var places: Set<Int> = []
        /// The calls whose second argument hasn't begun, by the depth of what stands in them; the innermost last.
        var open: [Int] = []
        var depth = 0
        var isCalled = false
        while let token = tokens.next() {
            switch token {
            case .other(UInt8(ascii: "(")):
                depth += 1
                if isCalled { open.append(depth) }
            case .other(UInt8(ascii: ")")):
                if open.last == depth { open.removeLast() }
                depth -= 1
            case .other(UInt8(ascii: ",")) where open.last == depth:
                open.removeLast()
                switch format(behind: tokens, in: sql) {
                case .short: break
                case .parameter(let place): places.insert(place)
                case .other: return nil
                }
            case .semicolon, .word, .quoted, .other: break
            }
            isCalled = isName(token, tokens)
        }
        // What has no second argument is short; of what has no end SQLite takes nothing.
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

    /// What the whole of the argument is that begins with the next token.
    private static func format(
        behind comma: SQLTokenizer, in sql: UnsafeRawBufferPointer
    ) -> Format {
        var tokens = comma
        let found = format(&tokens, in: sql)
        return tokens.next() == .other(UInt8(ascii: ")")) ? found : .other
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
