import JSON
import Testing

/// The grammar, token by token.
@Suite struct JSONReaderTests {
    private func tokens(_ text: String) throws(JSONError) -> [String] {
        try Array(text.utf8).withUnsafeBufferPointer { (buffer) throws(JSONError) in
            var reader = JSONReader(UnsafeRawBufferPointer(buffer))
            var names: [String] = []
            while case let token = try reader.next(), token != .endOfInput {
                switch token {
                case .null: names.append("null")
                case .bool(let value): names.append("\(value)")
                case .number(let span): names.append(reader.text(of: span))
                case .string(let span): names.append("'\(reader.text(of: span))'")
                case .name(let span): names.append("\(reader.text(of: span)):")
                case .beginArray: names.append("[")
                case .endArray: names.append("]")
                case .beginObject: names.append("{")
                case .endObject: names.append("}")
                case .endOfInput: break
                }
            }
            return names
        }
    }

    @Test func `A statement with parameters comes out in order`() throws {
        #expect(
            try tokens(#" [["INSERT INTO t VALUES(?,?)", 1, -2.5e3, "x", null, true, {"a":[]}]] "#)
                == [
                    "[", "[", "'INSERT INTO t VALUES(?,?)'", "1", "-2.5e3", "'x'", "null", "true",
                    "{", "a:", "[", "]", "}", "]", "]",
                ])
    }

    @Test func `Escapes are resolved, surrogate pairs included`() throws {
        #expect(
            try tokens(#"["\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00 é€😀"]"#)
                == ["[", "'\"\\/\u{8}\u{C}\n\r\tAé€😀 é€😀'", "]"])
    }

    @Test func `A long string is read whole wherever its special bytes stand`() throws {
        for length in 0..<40 {
            let plain = String(repeating: "a", count: length)
            #expect(try tokens("\"\(plain)é\(plain)\\n\"") == ["'\(plain)é\(plain)\n'"])
            #expect(throws: JSONError.self) { try tokens("\"\(plain)\u{1}\(plain)\"") }
            #expect(throws: JSONError.self) { try tokens("\"\(plain)") }
        }
    }

    @Test(arguments: [
        "", " ", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{1:2}", "{\"a\"}",
        "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\" 1}", "{\"a\":1]", "[1}", "1 2", "[] x", "tru",
        "truex", "nul", "True", "+1", "01", "-", "1.", ".5", "1e", "1e+", "--1", "0x1", "NaN",
        "'a'", "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\\ud800\"",
        "\"\\ud800\\n\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\t\"", "[1]\u{0}", "\u{FEFF}1",
    ])
    func `What is not JSON is refused`(_ text: String) {
        #expect(throws: JSONError.self) { try tokens(text) }
    }

    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xC3], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82],
            [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF],
        ] as [[UInt8]])
    func `A string that is not UTF-8 is refused`(_ bytes: [UInt8]) {
        #expect(throws: JSONError(offset: 1, reason: .invalidUTF8)) {
            try JSONValue(parsing: [0x22] + bytes + [0x22])
        }
    }

    @Test func `An error names its place`() {
        #expect(throws: JSONError(offset: 4, reason: .trailingText(byte: UInt8(ascii: "x")))) {
            try tokens("[1] x")
        }
        #expect(throws: JSONError(offset: 2, reason: .unexpectedEnd(expected: "',' or ']'"))) {
            try tokens("[1")
        }
        #expect(
            JSONError(offset: 3, reason: .unexpected(byte: 0x78, expected: "a value")).description
                == "JSON has 'x' at byte 3 where a value must stand")
    }

    @Test func `Nesting is limited`() throws {
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(try tokens(deep).count == 128)
        #expect(throws: JSONError(offset: 64, reason: .tooDeep(limit: 64))) {
            try tokens("[" + deep + "]")
        }
        #expect(throws: JSONError(offset: 2, reason: .tooDeep(limit: 2))) {
            try JSONValue(parsing: "[[[]]]", depthLimit: 2)
        }
    }

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("9223372036854775807", .max), ("-9223372036854775808", .min),
            ("9223372036854775808", nil), ("-9223372036854775809", nil), ("1.0", nil), ("1e2", nil),
            ("99999999999999999999999", nil),
        ] as [(String, Int64?)])
    func `Integers of 64 bits are exact`(_ text: String, _ expected: Int64?) throws {
        try Array(text.utf8).withUnsafeBytes { buffer in
            var reader = JSONReader(buffer)
            guard case .number(let span) = try reader.next() else {
                Issue.record("\(text) is not a number")
                return
            }
            #expect(reader.integer(of: span) == expected)
            #expect(reader.double(of: span) == Double(text))
        }
    }

    @Test func `Unwanted values are skipped and names compared without a copy`() throws {
        let text = #"{"skip":{"a":[1,{"b":2}]},"k\u0065ep":7}"#
        try Array(text.utf8).withUnsafeBytes { buffer in
            var reader = JSONReader(buffer)
            var kept: JSONToken?
            #expect(try reader.next() == .beginObject)
            while case .name(let span) = try reader.next() {
                if reader.matches(span, "keep") {
                    kept = try reader.next()
                } else {
                    #expect(reader.matches(span, "skip"))
                    try reader.skipValue()
                }
            }
            guard case .number(let span)? = kept else {
                Issue.record("the number was not found")
                return
            }
            #expect(reader.integer(of: span) == 7)
            #expect(try reader.next() == .endOfInput)
        }
    }
}
