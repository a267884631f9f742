internal import SQLite

/// A parameter in the text of a statement (https://sqlite.org/lang_expr.html#varparam); `#a`, which SQLite's grammar has for
/// itself, is one like `@a` in its parser.
struct SQLParameter {
    /// Where it begins, in bytes.
    let place: Int
    /// As it is written: one with a name or a number of its own is the same wherever it stands.
    private let name: [UInt8]

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
        case .other(UInt8(ascii: ":")), .other(UInt8(ascii: "@")), .other(UInt8(ascii: "#")):
            place = end - 1
        case .word(let range) where sql[range.lowerBound] == UInt8(ascii: "$"):
            place = range.lowerBound
        case .semicolon, .word, .quoted, .other: return nil
        }
        var following = tokens
        if sql[place] != UInt8(ascii: "$"), case .word(let range)? = following.next(),
            range.lowerBound == tokens.offset
        {
            if sql[place] == UInt8(ascii: "?") {
                // What stands behind the number is no part of it.
                if end > tokens.offset { tokens = following }
            } else {
                tokens = following
                end = range.upperBound
            }
        }
        name = Array(sql[place..<end])
    }

    /// That stands in it.
    private var ownNumber: Int? {
        name.first == UInt8(ascii: "?")
            ? Int(String(decoding: name.dropFirst(), as: UTF8.self)) : nil
    }

    /// The numbers of those that begin at these bytes.
    static func numbers(of places: Set<Int>, in sql: UnsafeRawBufferPointer) -> Set<Int> {
        var tokens = SQLTokenizer(sql)
        var known: [[UInt8]: Int] = [:]
        var most = 0
        var numbers: Set<Int> = []
        while let token = tokens.next() {
            guard let parameter = SQLParameter(token, &tokens, in: sql) else { continue }
            let number = parameter.ownNumber ?? known[parameter.name] ?? most + 1
            if parameter.name.count > 1 { known[parameter.name] = number }
            most = max(most, number)
            if places.contains(parameter.place) { numbers.insert(number) }
        }
        return numbers
    }
}
