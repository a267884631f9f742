import Testing
import Time

@testable import NodeLogic

/// For how long a process that stops is waited for.
@Suite struct StopWatchTests {
    private var watch = StopWatch(at: .zero + .seconds(100))

    private mutating func verdict(after seconds: Double, isAsked: Bool = false) -> StopWatch.Verdict
    {
        watch.look(at: .zero + .seconds(100 + seconds), isAsked: isAsked)
    }

    @Test mutating func `A second signal ends it, unless it is an echo of the first`() {
        #expect(verdict(after: 0.2, isAsked: true) == .waits)
        #expect(verdict(after: 1.9, isAsked: true) == .waits)
        #expect(verdict(after: 5) == .waits)
        #expect(verdict(after: 5.2, isAsked: true) == .ends)
    }

    @Test mutating func `What takes long is said once, and has an end`() {
        #expect(verdict(after: 14) == .waits)
        #expect(verdict(after: 15) == .isSlow)
        #expect(verdict(after: 16) == .waits)
        #expect(verdict(after: 599) == .waits)
        #expect(verdict(after: 600) == .ends)
    }
}
