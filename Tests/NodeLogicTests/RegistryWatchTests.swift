import Testing

@testable import NodeLogic
import Time

@Suite struct RegistryWatchTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)
    private var soon: MonotonicTime { start + .milliseconds(99) }
    private var later: MonotonicTime { start + .milliseconds(100) }

    @Test func `A watch begins from what a read showed, one at a time`() {
        var watch = RegistryWatch()
        #expect(watch.begin(now: start) == nil)
        watch.seen(token: [7])
        #expect(watch.begin(now: start) == [7])
        #expect(watch.begin(now: start) == nil)
        let end = start + RegistryWatch.timeout
        watch.ended(.unchanged, now: end)
        #expect(watch.begin(now: end) == [7])
    }

    @Test func `A watch that says too early that nothing changed is not begun again at once`() {
        var watch = RegistryWatch()
        watch.seen(token: [7])
        for number in 0..<3 {
            let begin = start + Duration.seconds(5) * number
            #expect(watch.begin(now: begin) == [7])
            watch.ended(.unchanged, now: begin)
            #expect(watch.begin(now: begin) == nil)
            #expect(watch.begin(now: begin + .milliseconds(4_999)) == nil)
        }
    }

    @Test func `A registry that says changed again and again is not asked faster than that`() {
        var watch = RegistryWatch()
        watch.seen(token: [7])
        _ = watch.begin(now: start)
        watch.ended(.changed(token: [8]), now: start)
        #expect(watch.begin(now: soon) == nil)
        #expect(watch.begin(now: later) == [8])
    }

    @Test func `Without a token of the new state the next read gives one`() {
        var watch = RegistryWatch()
        watch.seen(token: [7])
        _ = watch.begin(now: start)
        watch.ended(.changed(token: []), now: start)
        #expect(watch.begin(now: later) == nil)
        watch.seen(token: [9])
        #expect(watch.begin(now: later) == [9])
    }

    @Test func `After a failure it waits, and where it is not possible it is not tried again`() {
        var watch = RegistryWatch()
        watch.seen(token: [7])
        _ = watch.begin(now: start)
        watch.ended(.failed, now: start)
        #expect(watch.begin(now: start + .milliseconds(4_999)) == nil)
        #expect(watch.begin(now: start + .seconds(5)) == [7])
        watch.ended(.unsupported, now: start)
        watch.seen(token: [8])
        #expect(watch.begin(now: start + .seconds(3_600)) == nil)
    }

    @Test func `Where it is not possible it is tried again when the plugin was read again`() {
        var watch = RegistryWatch()
        watch.seen(token: [7])
        _ = watch.begin(now: start)
        watch.ended(.unsupported, now: start)
        #expect(watch.begin(now: start + .seconds(60)) == nil)
        watch.renewed()
        #expect(watch.begin(now: start + .seconds(60)) == [7])
    }
}
