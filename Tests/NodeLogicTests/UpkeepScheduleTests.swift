import Testing
import Time
import Wire

@testable import NodeLogic

/// When a leader proposes VACUUM and the like.
@Suite struct UpkeepScheduleTests {
    private static let hour = Duration.seconds(3600)
    private static let start = MonotonicTime.zero + .seconds(100)
    /// The wall clock at `start`.
    private static let wall: Int64 = 1_700_000_000_000

    private func step(
        _ schedule: inout UpkeepSchedule, after elapsed: Duration, leads: Bool = true,
        _ times: UpkeepTimes, wallStep: Int64 = 0
    ) -> UpkeepSchedule.Step {
        schedule.step(
            at: Self.start + elapsed,
            wall: Self.wall + elapsed.millisecondsClamped + wallStep, leads: leads,
            times: times)
    }

    private func rests(_ step: UpkeepSchedule.Step) -> Bool {
        if case .rest = step { true } else { false }
    }

    @Test func `What was never done is due at once, at the leader alone`() {
        var schedule = UpkeepSchedule(vacuum: Self.hour, optimize: Self.hour)
        let never = UpkeepTimes()
        #expect(rests(step(&schedule, after: .zero, leads: false, never)))
        #expect(step(&schedule, after: .zero, never) == .propose(.vacuum))
        schedule.ended(.vacuum, at: Self.start)
        #expect(step(&schedule, after: .zero, never) == .propose(.optimize))
    }

    @Test func `What is off is never due`() {
        var off = UpkeepSchedule(vacuum: nil, optimize: nil)
        #expect(rests(step(&off, after: Self.hour * 1000, UpkeepTimes())))
        var one = UpkeepSchedule(vacuum: nil, optimize: Self.hour)
        #expect(step(&one, after: .zero, UpkeepTimes()) == .propose(.optimize))
        one.ended(.optimize, at: Self.start)
        #expect(rests(step(&one, after: .zero, UpkeepTimes())))
    }

    @Test func `An interval counts from the last time in the log, whoever led or restarted`() {
        let last = UpkeepTimes(vacuum: Self.wall - 3_000_000)
        var schedule = UpkeepSchedule(vacuum: Self.hour, optimize: nil)
        #expect(rests(step(&schedule, after: .zero, last)))
        #expect(rests(step(&schedule, after: .milliseconds(599_999), last)))
        #expect(step(&schedule, after: .seconds(600), last) == .propose(.vacuum))
        // Another leader's entry arrives.
        let newer = UpkeepTimes(vacuum: Self.wall + 600_000)
        #expect(rests(step(&schedule, after: .seconds(601), newer)))
    }

    @Test func `After a failure the next attempt is an interval later`() {
        var schedule = UpkeepSchedule(vacuum: Self.hour, optimize: nil)
        let never = UpkeepTimes()
        #expect(step(&schedule, after: .zero, never) == .propose(.vacuum))
        schedule.ended(.vacuum, at: Self.start + .seconds(50))
        #expect(rests(step(&schedule, after: Self.hour, never)))
        #expect(step(&schedule, after: Self.hour + .seconds(50), never) == .propose(.vacuum))
    }

    @Test(arguments: [Self.wall + 1_000_000_000_000, .max, .min])
    func `No clock that was wrong once keeps upkeep away, or brings it all the time`(last: Int64) {
        var schedule = UpkeepSchedule(vacuum: Self.hour, optimize: nil)
        let times = UpkeepTimes(vacuum: last)
        var count = 0
        for minute in 0...600 {
            let elapsed = Duration.seconds(60 * minute)
            if step(&schedule, after: elapsed, times) == .propose(.vacuum) {
                count += 1
                schedule.ended(.vacuum, at: Self.start + elapsed)
            }
        }
        #expect((10...11).contains(count), "\(count)")
    }

    @Test func `A rest ends when something is due, and soon enough to see a new leader`() {
        var schedule = UpkeepSchedule(vacuum: Self.hour, optimize: nil)
        let soon = UpkeepTimes(vacuum: Self.wall - 3_599_700)
        #expect(
            step(&schedule, after: .zero, soon)
                == .rest(until: Self.start + .milliseconds(300)))
        let later = UpkeepTimes(vacuum: Self.wall)
        #expect(
            step(&schedule, after: .zero, later) == .rest(until: Self.start + .seconds(1)))
    }
}
