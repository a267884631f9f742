import Synchronization
import Testing

@testable import Telemetry

/// A clock that tests move.
private final class HandClock: Sendable {
    private let time = Mutex(Duration.zero)
    var now: Duration { time.withLock { $0 } }
    func pass(_ duration: Duration) { time.withLock { $0 += duration } }
}

/// States that change, and lines that repeat.
@Suite struct StateLogTests {
    private let sink = CollectingSink()
    private let clock = HandClock()

    private var logger: Logger {
        Logger(
            module: "raft", sink: sink,
            now: { WallTime(seconds: 1_767_366_245, nanoseconds: 0) })
    }

    private func states() -> StateLog {
        let clock = clock
        return StateLog(logger, quiet: .seconds(10), capacity: 3, now: { clock.now })
    }

    /// What was written since the last call.
    private func said(_ before: Int = 0) -> [Substring] {
        sink.lines.dropFirst(before).map { $0.dropFirst(27).dropLast() }
    }

    @Test func `A state is said when it begins and when it ends, with its reason`() {
        let states = states()
        states.cleared("follower does not answer", about: "2")
        for _ in 0..<100 {
            states.troubled("follower does not answer", about: "2", reason: "connection refused")
            clock.pass(.milliseconds(500))
            states.flush()
        }
        states.cleared("follower does not answer", about: "2")
        states.cleared("follower does not answer", about: "2")
        #expect(
            said() == [
                "follower does not answer about=2 cause=\"connection refused\" level=warning",
                "over state=\"follower does not answer\" about=2 lasted=50s changes_left_out=0",
            ])
    }

    @Test func `Another reason is another state, and each subject has its own`() {
        let states = states()
        states.troubled("follower does not answer", about: "2", reason: "refused")
        states.troubled("follower does not answer", about: "3", reason: "refused")
        clock.pass(.seconds(11))
        states.troubled("follower does not answer", about: "2", reason: "timed out")
        #expect(said().count == 3)
        #expect(said().last?.contains("about=2 cause=\"timed out\"") == true)
        clock.pass(.seconds(4))
        #expect(
            states.troubles == [
                .init(
                    what: "follower does not answer", subject: "2", reason: "timed out",
                    age: .seconds(15)),
                .init(
                    what: "follower does not answer", subject: "3", reason: "refused",
                    age: .seconds(15)),
            ])
    }

    @Test func `A state that flaps is said rarely, and where it stays is said always`() {
        let states = states()
        for _ in 0..<1000 {
            states.troubled("disk is full", reason: "ENOSPC")
            clock.pass(.milliseconds(5))
            states.cleared("disk is full")
            clock.pass(.milliseconds(5))
            states.flush()
        }
        #expect(sink.lines.count <= 8, "\(sink.lines)")
        states.troubled("disk is full", reason: "ENOSPC")
        clock.pass(.seconds(11))
        states.flush()
        #expect(said().last?.contains("disk is full") == true)
        let count = sink.lines.count
        states.cleared("disk is full")
        #expect(said(count).first?.hasPrefix("over state=\"disk is full\"") == true)
        states.flush()
        clock.pass(.seconds(60))
        states.flush()
        #expect(sink.lines.count == count + 1)
        #expect(states.troubles.isEmpty)
    }

    @Test func `Flapping that ends where it began says nothing more`() {
        let states = states()
        for _ in 0..<50 {
            states.troubled("disk is full", reason: "ENOSPC")
            states.cleared("disk is full")
        }
        #expect(sink.lines.count == 4)
        clock.pass(.seconds(20))
        states.flush()
        states.flush()
        #expect(sink.lines.count == 4)
    }

    @Test func `Subjects from outside can't fill the memory, and can be forgotten`() {
        let states = states()
        for number in 0..<100 { states.troubled("stranger", about: "\(number)", reason: "x") }
        #expect(states.troubles.count == 3)
        #expect(sink.lines.count == 3)
        states.forget("stranger", about: "0")
        #expect(states.troubles.count == 2)
        states.troubled("stranger", about: "7", reason: "x")
        #expect(states.troubles.count == 3)
    }

    @Test func `A line that repeats is written at once, then as its number`() {
        let clock = clock
        let log = RepeatLog(logger, now: { clock.now })
        for _ in 0..<5 { log.warning("peer was refused", about: "2", cause: "x") }
        log.warning("peer was refused", about: "3", cause: "x")
        #expect(sink.lines.count == 2)
        clock.pass(.seconds(11))
        log.warning("peer was refused", about: "2", cause: "y")
        #expect(said().last == "peer was refused about=2 cause=y repeats=4 level=warning")
        log.warning("peer was refused", about: "2", cause: "y")
        clock.pass(.seconds(11))
        log.flush()
        log.flush()
        #expect(sink.lines.count == 4)
        let number =
            "said again, and left out here message=\"peer was refused\" about=2 repeats=1 "
            + "level=warning"
        #expect(said().last.map { String($0) } == number)
    }

    @Test func `Of a long text no more is remembered than a line shows`() {
        let text = String(repeating: "a", count: 1 << 20)
        var limiter = RepeatLimiter(interval: .seconds(10))
        #expect(limiter.admit(text + "1", at: .zero) == .write(repeats: 0))
        #expect(limiter.admit(text + "2", at: .zero) == .leaveOut)
        #expect(limiter.due(at: .seconds(10)).map { $0.subject.utf8.count } == [LogLine.limit])
        let states = states()
        states.troubled("follower does not answer", about: text, reason: text)
        let trouble = states.troubles.first
        #expect(trouble?.subject.utf8.count == LogLine.limit)
        #expect(trouble?.reason.utf8.count == LogLine.limit)
        states.forget("follower does not answer", about: text)
        #expect(states.troubles.isEmpty)
    }

    @Test func `Of many subjects the oldest is forgotten`() {
        var limiter = RepeatLimiter(interval: .seconds(10), capacity: 2)
        #expect(limiter.admit("a", at: .seconds(0)) == .write(repeats: 0))
        #expect(limiter.admit("b", at: .seconds(1)) == .write(repeats: 0))
        #expect(limiter.admit("a", at: .seconds(2)) == .leaveOut)
        #expect(limiter.admit("c", at: .seconds(3)) == .write(repeats: 0))
        #expect(limiter.admit("b", at: .seconds(4)) == .leaveOut)
        #expect(limiter.admit("a", at: .seconds(5)) == .write(repeats: 0))
    }
}
