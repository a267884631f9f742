import Testing

@testable import HTTPAPI

/// The notation of Go's `time` package.
@Suite struct DurationParsingTests {
    @Test(arguments: [
        ("0", 0), ("+0", 0), ("-0", 0), ("5s", 5_000_000_000), ("1h30m", 5_400_000_000_000),
        ("1.5s", 1_500_000_000), ("250ms", 250_000_000), ("-10ms", -10_000_000),
        ("1us", 1_000), ("1\u{B5}s", 1_000), ("1\u{3BC}s", 1_000), ("7ns", 7),
        (".5s", 500_000_000), ("1.s", 1_000_000_000), ("1h2m3.004s", 3_723_004_000_000),
        ("0.000000001s", 1), ("2562047h", 9_223_369_200_000_000_000),
    ])
    func `A duration in Go's notation is read`(text: String, nanoseconds: Int64) {
        #expect(Duration(goText: text) == .nanoseconds(nanoseconds))
    }

    @Test(arguments: [
        "", "5", "s", "x", "1d", "1 s", "1s ", " 1s", "1ss", "--1s", "+", ".s", "1s1", "1e3s",
        "2562048h", "99999999999999999999s", "1µ",
    ])
    func `What Go refuses is refused`(text: String) {
        #expect(Duration(goText: text) == nil)
    }
}
