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

    /// SQLite takes no larger one, and the numbers of those behind it are numbers still: not all texts that are
    /// looked at were compiled.
    private static let mostNumber = 1 << 32

    /// That stands in it.
    private var ownNumber: Int? {
        guard name.first == UInt8(ascii: "?") else { return nil }
        return Int(String(decoding: name.dropFirst(), as: UTF8.self))
            .map { min($0, Self.mostNumber) }
    }

    /// The names of those in whole statements, as bytes and without prefix. The words of CREATE VIRTUAL TABLE are its module's,
    /// and no parameters, also where it is only explained.
    static func names(in sql: UnsafeRawBufferPointer) -> Set<ByteText> {
        var tokens = SQLTokenizer(sql)
        var names: Set<ByteText> = []
        var isAtStart = true
        var isModules = false
        while let token = tokens.next() {
            guard token != .semicolon else {
                isAtStart = true
                continue
            }
            if isAtStart { isModules = makesVirtualTable(token, tokens) }
            isAtStart = false
            guard !isModules, let parameter = SQLParameter(token, &tokens, in: sql) else {
                continue
            }
            names.insert(ByteText(parameter.name.dropFirst()))
        }
        return names
    }

    private static func makesVirtualTable(
        _ token: SQLTokenizer.Token, _ tokens: SQLTokenizer
    ) -> Bool {
        var (following, word) = (tokens, Optional(token))
        // In front of it nothing else may stand.
        let explaining: [StaticString] = ["EXPLAIN", "QUERY", "PLAN"]
        while case .word(let range)? = word,
            explaining.contains(where: { following.isKeyword(range, $0) })
        {
            word = following.next()
        }
        guard case .word(let first)? = word, following.isKeyword(first, "CREATE"),
            case .word(let second)? = following.next()
        else { return false }
        return following.isKeyword(second, "VIRTUAL")
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
