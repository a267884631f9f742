/// Splits SQL into tokens by SQLite's rules (https://sqlite.org/c3ref/complete.html and
/// tokenize.c), as far as is needed to tell statements and keywords apart. Blanks and comments are
/// skipped. It never fails: a broken token reaches to the end of the text, as it does in SQLite.
package struct SQLTokenizer {
    /// What SQL is made of, as far as somebody here has to know.
    package enum Token: Equatable, Sendable {
        case semicolon
        /// A keyword or an unquoted name, as written. A parameter's begins right behind its prefix, or with `$`, and may have
        /// any characters in parentheses at its end.
        case word(Range<Int>)
        /// A quoted name or text, without its outer quotes; quotes inside are still doubled.
        case quoted(Range<Int>)
        /// Any other character: an operator, a number's digit, a parameter's prefix.
        case other(UInt8)
    }

    private let bytes: UnsafeRawBufferPointer
    /// How far the text was read, in bytes.
    package private(set) var offset = 0
    /// So far goes the name of the parameter whose prefix was read last.
    private var nameEnd = 0

    package init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// Nil at the end.
    package mutating func next() -> Token? {
        if offset < nameEnd {
            defer { offset = nameEnd }
            return .word(offset..<nameEnd)
        }
        skipBlanks()
        // SQLite reads no further than a NUL.
        guard offset < bytes.count, bytes[offset] != 0 else { return nil }
        let byte = bytes[offset]
        switch byte {
        case UInt8(ascii: ";"):
            offset += 1
            return .semicolon
        case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
            return quoted(endingWith: byte)
        case UInt8(ascii: "["):
            return quoted(endingWith: UInt8(ascii: "]"))
        case UInt8(ascii: "$"):
            let start = offset
            offset = parameterEnd
            return .word(start..<offset)
        case UInt8(ascii: ":"), UInt8(ascii: "@"), UInt8(ascii: "#"):
            nameEnd = parameterEnd
            offset += 1
            return .other(byte)
        case _ where Self.isWordByte(byte):
            let start = offset
            while offset < bytes.count, Self.isWordByte(bytes[offset]) { offset += 1 }
            return .word(start..<offset)
        default:
            offset += 1
            return .other(byte)
        }
    }

    /// Whether a text holds nothing but blanks, comments and semicolons.
    package static func isBlank(_ sql: UnsafeRawBufferPointer) -> Bool {
        var tokens = SQLTokenizer(sql)
        while let token = tokens.next() {
            if token != .semicolon { return false }
        }
        return true
    }

    /// Whether the word in a range is this keyword, in any letter case.
    package func isKeyword(_ range: Range<Int>, _ keyword: StaticString) -> Bool {
        guard range.count == keyword.utf8CodeUnitCount else { return false }
        return keyword.withUTF8Buffer { upper in
            range.indices.allSatisfy { index in
                Self.uppercased(bytes[index]) == upper[index - range.lowerBound]
            }
        }
    }

    /// The text of a token in lower case, as far as it is ASCII.
    package func lowercased(_ range: Range<Int>) -> String {
        String(decoding: bytes[range], as: UTF8.self).loweredASCII
    }

    private static func uppercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) ? byte - 32 : byte
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...:
            true
        default: false
        }
    }

    private mutating func quoted(endingWith end: UInt8) -> Token {
        offset += 1
        let start = offset
        while offset < bytes.count {
            if bytes[offset] == end {
                // Brackets can't be doubled.
                guard end != UInt8(ascii: "]"), offset + 1 < bytes.count, bytes[offset + 1] == end
                else {
                    offset += 1
                    return .quoted(start..<offset - 1)
                }
                offset += 1
            }
            offset += 1
        }
        return .quoted(start..<bytes.count)
    }

    /// Behind the parameter that begins here. As in Tcl its name may have colons in pairs and, at its end, parentheses: all
    /// that is in them up to a blank belongs to it, quotes and the beginnings of comments too. Where it is broken SQLite takes no
    /// more of the text.
    private var parameterEnd: Int {
        var end = offset + 1
        var hasName = false
        while end < bytes.count {
            if Self.isWordByte(bytes[end]) {
                hasName = true
                end += 1
            } else if bytes[end] == UInt8(ascii: "("), hasName {
                repeat { end += 1 } while end < bytes.count && !Self.endsParentheses(bytes[end])
                return isAt(end, UInt8(ascii: ")")) ? end + 1 : end
            } else if bytes[end] == UInt8(ascii: ":"), isAt(end + 1, UInt8(ascii: ":")) {
                end += 2
            } else {
                break
            }
        }
        return end
    }

    private static func endsParentheses(_ byte: UInt8) -> Bool {
        byte == 0 || (0x09...0x0D).contains(byte) || byte == 0x20 || byte == UInt8(ascii: ")")
    }

    private mutating func skipBlanks() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x09, 0x0A, 0x0C, 0x0D, 0x20:
                offset += 1
            case UInt8(ascii: "-") where isAt(offset + 1, UInt8(ascii: "-")):
                while offset < bytes.count, bytes[offset] != 0x0A { offset += 1 }
            case UInt8(ascii: "/") where isAt(offset + 1, UInt8(ascii: "*")):
                skipBlockComment()
            case 0xEF where isAt(offset + 1, 0xBB) && isAt(offset + 2, 0xBF):
                // A byte order mark is a blank to SQLite.
                offset += 3
            default:
                return
            }
        }
    }

    /// A comment without its end reaches to the end of the text.
    private mutating func skipBlockComment() {
        offset += 2
        while offset < bytes.count {
            if bytes[offset] == UInt8(ascii: "*"), isAt(offset + 1, UInt8(ascii: "/")) {
                offset += 2
                return
            }
            offset += 1
        }
    }

    private func isAt(_ index: Int, _ byte: UInt8) -> Bool {
        index < bytes.count && bytes[index] == byte
    }
}
