import Testing
import Time

/// What clocks say, as numbers.
@Suite struct DurationTests {
    @Test(arguments: [
        (Duration.zero, 0, 0), (.milliseconds(1500), 1_500_000_000, 1500),
        (.nanoseconds(1_999_999), 1_999_999, 1), (.nanoseconds(-1_999_999), -1_999_999, -1),
        (.seconds(Int64.max), 4_611_686_018_427_387_904, 4_611_686_018_427),
        (.seconds(Int64.min), -4_611_686_018_427_387_904, -4_611_686_018_427),
    ])
    func `Durations are whole numbers rounded towards zero, and cut at their ends`(
        duration: Duration, nanoseconds: Int64, milliseconds: Int64
    ) {
        #expect(duration.nanosecondsClamped == nanoseconds)
        #expect(duration.millisecondsClamped == milliseconds)
    }

    @Test func `A moment and a duration without end are the last moment`() {
        let last = MonotonicTime(nanoseconds: .max)
        #expect(last + .seconds(Int64.max) == last)
        #expect(MonotonicTime.zero + .seconds(Int64.min) == .zero)
    }
}
