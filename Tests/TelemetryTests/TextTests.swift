import Glibc
import Testing

@testable import Telemetry

@Suite struct TextTests {
    @Test(arguments: [
        (0, "0s"), (1, "1ns"), (18_200, "18.2µs"), (50_000_000, "50ms"), (1_000_000_000, "1s"),
        (12_345_000, "12.345ms"), (62_345_000_000, "1m2.345s"), (120_000_000_000, "2m0s"),
        (86_400_000_000_000, "24h0m0s"), (-3_000_000_000, "-3s"), (1_000_000_001, "1.000000001s"),
        (999_999_999, "999.999999ms"),
    ])
    func `Durations are printed as Go does`(nanoseconds: Int64, text: String) {
        #expect(Duration.nanoseconds(nanoseconds).goText == text)
    }

    @Test(arguments: [
        (WallTime(seconds: 0), "1970-01-01T00:00:00Z"),
        (.never, "0001-01-01T00:00:00Z"),
        (WallTime(seconds: 951_782_400, nanoseconds: 120_000_000), "2000-02-29T00:00:00.12Z"),
        (WallTime(seconds: 1_767_366_245, nanoseconds: 1), "2026-01-02T15:04:05.000000001Z"),
        (WallTime(seconds: -1, nanoseconds: 0), "1969-12-31T23:59:59Z"),
        (WallTime(seconds: 4_107_542_399), "2100-02-28T23:59:59Z"),
        (WallTime(seconds: 4_107_542_400), "2100-03-01T00:00:00Z"),
        (WallTime(seconds: 1_704_067_199), "2023-12-31T23:59:59Z"),
    ])
    func `Times are RFC 3339 in UTC`(time: WallTime, text: String) {
        #expect(time.rfc3339 == text)
    }

    @Test(arguments: [
        (Int64.min, "1970-01-01T00:00:00Z"), (-1, "1970-01-01T00:00:00Z"),
        (1_767_366_245_120, "2026-01-02T15:04:05.12Z"),
        (253_402_300_800_000, "9999-12-31T23:59:59.999Z"),
        (Int64.max, "9999-12-31T23:59:59.999Z"),
    ])
    func `A clock that stood anywhere is shown within the calendar`(
        milliseconds: Int64, text: String
    ) {
        #expect(WallTime(clampingMilliseconds: milliseconds).rfc3339 == text)
    }

    @Test(arguments: [
        (1_767_366_245, 120_000_000, "2026-01-02T15:04:05.12Z"),
        (1_767_366_245, 1_073_741_823, "2026-01-02T15:04:05.999999999Z"),
        (1_767_366_245, 4_294_967_295, "2026-01-02T15:04:05.999999999Z"),
        (0, -1, "1970-01-01T00:00:00Z"), (Int.min, 0, "0001-01-01T00:00:00Z"),
        (Int.max, Int.max, "9999-12-31T23:59:59.999999999Z"),
    ])
    func `Whatever a file system tells of a file is shown within the calendar`(
        seconds: Int, nanoseconds: Int, text: String
    ) {
        let time = WallTime(ofFile: timespec(tv_sec: seconds, tv_nsec: nanoseconds))
        #expect(time.rfc3339 == text)
    }

    @Test func `Now is after this was written`() {
        #expect(WallTime.now() > WallTime(seconds: 1_767_225_600))
    }

    @Test(arguments: [
        (0, "0 B"), (9, "9 B"), (512, "512 B"), (999, "999 B"), (1000, "1.0 kB"), (4096, "4.1 kB"),
        (9949, "9.9 kB"), (9950, "10 kB"), (33_000_000, "33 MB"), (999_999, "1000 kB"),
        (12_500, "12 kB"), (13_500, "14 kB"), (1_500_000_000, "1.5 GB"),
    ])
    func `Sizes are friendly`(bytes: Int, text: String) {
        #expect(ByteSize(bytes: bytes).description == text)
    }

    @Test func `The largest size has a unit, too`() {
        #expect(ByteSize(bytes: UInt64.max).description == "18 EB")
        #expect(ByteSize(bytes: -1).description == "0 B")
    }
}
