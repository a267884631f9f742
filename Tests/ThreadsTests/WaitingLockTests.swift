import Synchronization
import Testing
import Threads
import Time

@Suite struct WaitingLockTests {
    @Test func `A wait ends with its time`() throws {
        let gate = WaitingLock()
        let start = MonotonicTime.now
        gate.lock()
        while gate.wait(until: start + .milliseconds(20)) {}
        gate.unlock()
        #expect(MonotonicTime.now - start >= .milliseconds(20))
    }

    @Test func `What changes is seen by whoever waits for it`() throws {
        let monitor = Monitor(0)
        let thread = try NamedThread("waiter") {
            while monitor.withLock({
                $0 += 1; return $0 < 1000
            }) {}
        }
        let seen = monitor.wait(until: { .now + .seconds(60) }) { $0 >= 1000 ? $0 : nil }
        thread.join()
        #expect(seen == 1000)
    }
}
