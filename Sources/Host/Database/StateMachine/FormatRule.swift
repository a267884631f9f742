internal import SQLite

/// What `matchinfo()`, a function of FTS3 and FTS4, may be told to find out about a row: for each character of its second
/// argument it goes through all hits in the row, in one step, and SQLite reports and allocates nothing meanwhile. So that
/// has to be a text that stands where it is called, and is short.
enum FormatRule {
    /// More than there are characters that mean something.
    private static let mostBytes = 64

    /// Why the statement is refused, in words for the client; nil when it isn't.
    static func refusal(of sql: UnsafeRawBufferPointer) -> String? {
        var tokens = SQLTokenizer(sql)
        while let token = tokens.next() {
            guard isName(token, tokens) else { continue }
            var following = tokens
            guard following.next() == .other(UInt8(ascii: "(")) else { continue }
            guard isShort(&following, in: sql) else {
                return
                    "the second argument of matchinfo() must be a text in single quotes of at most "
                    + "\(mostBytes) bytes"
            }
        }
        return nil
    }

    private static func isName(_ token: SQLTokenizer.Token, _ tokens: SQLTokenizer) -> Bool {
        switch token {
        case .word(let range): tokens.isKeyword(range, "MATCHINFO")
        case .quoted(let range): tokens.lowercased(range) == "matchinfo"
        case .semicolon, .other: false
        }
    }

    /// Whether there is no second argument, or a short one.
    private static func isShort(
        _ tokens: inout SQLTokenizer, in sql: UnsafeRawBufferPointer
    ) -> Bool {
        var depth = 0
        while let token = tokens.next() {
            switch token {
            case .other(UInt8(ascii: "(")): depth += 1
            case .other(UInt8(ascii: ")")):
                if depth == 0 { return true }
                depth -= 1
            case .other(UInt8(ascii: ",")) where depth == 0:
                guard case .quoted(let range)? = tokens.next(),
                    sql[range.lowerBound - 1] == UInt8(ascii: "'"), range.count <= mostBytes
                else { return false }
                return tokens.next() == .other(UInt8(ascii: ")"))
            case .semicolon, .word, .quoted, .other: break
            }
        }
        // SQLite doesn't take it.
        return true
    }
}
