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

/// A parameter in the text of a statement (https://sqlite.org/lang_expr.html#varparam).
private struct SQLParameter {
    /// Where it begins, in bytes.
    let place: Int
    /// As it is written: one with a name or a number of its own is the same wherever it stands.
    private let name: [UInt8]
    /// What SQLite takes for a part of the name, of Tcl's, may stand behind it.
    private let mayGoOn: Bool

    /// Nil: another token. What belongs to the parameter is taken.
    init?(_ token: SQLTokenizer.Token, _ tokens: inout SQLTokenizer, in sql: UnsafeRawBufferPointer)
    {
        var end = tokens.offset
        switch token {
        case .other(UInt8(ascii: "?")):
            place = end - 1
            while end < sql.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(sql[end]) {
                end += 1
            }
        case .other(UInt8(ascii: ":")), .other(UInt8(ascii: "@")): place = end - 1
        case .word(let range) where sql[range.lowerBound] == UInt8(ascii: "$"):
            place = range.lowerBound
        case .semicolon, .word, .quoted, .other: return nil
        }
        var following = tokens
        if case .word(let range)? = following.next(), range.lowerBound == tokens.offset {
            if sql[place] == UInt8(ascii: "?") {
                // What stands behind the number is no part of it.
                if end > tokens.offset { tokens = following }
            } else {
                tokens = following
                end = range.upperBound
            }
        }
        name = Array(sql[place..<end])
        let next = end < sql.count ? sql[end] : 0
        mayGoOn =
            sql[place] != UInt8(ascii: "?")
            && (next == UInt8(ascii: "(") || next == UInt8(ascii: ":"))
    }

    /// That stands in it.
    private var ownNumber: Int? {
        name.first == UInt8(ascii: "?")
            ? Int(String(decoding: name.dropFirst(), as: UTF8.self)) : nil
    }

    /// The numbers of those that begin at these bytes. Nil: SQLite may read the text in another way.
    static func numbers(of places: Set<Int>, in sql: UnsafeRawBufferPointer) -> Set<Int>? {
        var tokens = SQLTokenizer(sql)
        var known: [[UInt8]: Int] = [:]
        var most = 0
        var numbers: Set<Int> = []
        while let token = tokens.next() {
            guard let parameter = SQLParameter(token, &tokens, in: sql) else { continue }
            if parameter.mayGoOn { return nil }
            let number = parameter.ownNumber ?? known[parameter.name] ?? most + 1
            if parameter.name.count > 1 { known[parameter.name] = number }
            most = max(most, number)
            if places.contains(parameter.place) { numbers.insert(number) }
        }
        return numbers
    }
}
