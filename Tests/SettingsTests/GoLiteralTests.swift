import Testing

@testable import Settings

@Suite struct GoLiteralTests {
    @Test(arguments: [
        ("0", 0), ("42", 42), ("-42", -42), ("+7", 7), ("0x1F", 31), ("0X1f", 31), ("0o17", 15),
        ("017", 15), ("0b101", 5), ("1_000", 1000), ("0x_ff", 255), ("0_7", 7),
        ("-9223372036854775808", Int64.min), ("9223372036854775807", Int64.max),
    ])
    func `Integers are read with Go's prefixes`(text: String, value: Int64) throws {
        #expect(try GoLiteral.integer(text) == value)
    }

    @Test(arguments: [
        "", "-", "x", "1x", "_1", "1_", "1__0", "0x", "0b2", "09", "1.5", " 1", "1 ", "0_", "--1",
        "0a7", "0B",
    ])
    func `What is no integer is a syntax error`(text: String) {
        #expect(throws: GoLiteral.Failure.syntax) { try GoLiteral.integer(text) }
    }

    @Test(arguments: ["99999999999999999999", "9223372036854775808", "-9223372036854775809"])
    func `A number too large is told apart`(text: String) {
        #expect(throws: GoLiteral.Failure.range) { try GoLiteral.integer(text) }
    }

    @Test func `Unsigned numbers take no sign`() throws {
        #expect(try GoLiteral.unsigned("18446744073709551615") == .max)
        #expect(throws: GoLiteral.Failure.syntax) { try GoLiteral.unsigned("-1") }
        #expect(throws: GoLiteral.Failure.syntax) { try GoLiteral.unsigned("+1") }
        #expect(throws: GoLiteral.Failure.range) { try GoLiteral.unsigned("18446744073709551616") }
    }

    @Test(arguments: [
        ("0", 0), ("-0", 0), ("300ms", 300_000_000), ("1.5h", 5_400_000_000_000),
        ("2h45m", 9_900_000_000_000), ("-3s", -3_000_000_000), ("5us", 5000), ("5µs", 5000),
        ("5μs", 5000), ("7ns", 7), (".5s", 500_000_000), ("1.s", 1_000_000_000),
        ("+1m", 60_000_000_000),
        ("0.0000000001s", 0), ("1h2m3.004005006s", 3_723_004_005_006),
    ])
    func `Durations are read as Go does`(text: String, nanoseconds: Int64) throws {
        #expect(try GoLiteral.duration(text) == .nanoseconds(nanoseconds))
    }

    @Test(arguments: ["", "-", "3", "1d", "s", ".s", "1s2", "1 s", "3000000h", "1e3s"])
    func `What is no duration is refused`(text: String) {
        #expect(throws: GoLiteral.Failure.syntax) { try GoLiteral.duration(text) }
    }

    @Test func `Booleans are twelve words`() throws {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            #expect(try GoLiteral.boolean(text))
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            #expect(try !GoLiteral.boolean(text))
        }
        #expect(throws: GoLiteral.Failure.syntax) { try GoLiteral.boolean("yes") }
    }
}
