import Simulator
import Testing

/// The checker of histories, on histories known to be good and known to be bad.
@Suite struct LinearizabilityTests {
    private typealias Operation = RegisterOperation

    @Test func `An empty history is linearizable`() {
        #expect(LinearizabilityChecker.accepts([]))
    }

    @Test func `A read finds what was written last`() {
        #expect(
            LinearizabilityChecker.accepts([
                Operation(.write(1), invoked: 0, returned: 1),
                Operation(.write(2), invoked: 2, returned: 3),
                Operation(.read(2), invoked: 4, returned: 5),
            ]))
    }

    @Test func `A stale read is found`() {
        #expect(
            !LinearizabilityChecker.accepts([
                Operation(.write(1), invoked: 0, returned: 1),
                Operation(.write(2), invoked: 2, returned: 3),
                Operation(.read(1), invoked: 4, returned: 5),
            ]))
    }

    @Test func `A lost write is found`() {
        #expect(
            !LinearizabilityChecker.accepts([
                Operation(.write(1), invoked: 0, returned: 1),
                Operation(.read(0), invoked: 2, returned: 3),
            ]))
    }

    @Test func `A value that nobody wrote is found`() {
        #expect(
            !LinearizabilityChecker.accepts([
                Operation(.write(1), invoked: 0, returned: 1),
                Operation(.read(7), invoked: 0, returned: 3),
            ]))
    }

    @Test func `A read during a write may find either value`() {
        for value in [UInt64(0), 1] {
            #expect(
                LinearizabilityChecker.accepts([
                    Operation(.write(1), invoked: 0, returned: 10),
                    Operation(.read(value), invoked: 2, returned: 3),
                ]))
        }
    }

    @Test func `Reads that go back in time are found`() {
        #expect(
            !LinearizabilityChecker.accepts([
                Operation(.write(1), invoked: 0, returned: 10),
                Operation(.read(1), invoked: 2, returned: 3),
                Operation(.read(0), invoked: 4, returned: 5),
            ]))
    }

    @Test func `Two clients may not see two writes in different orders`() {
        #expect(
            !LinearizabilityChecker.accepts([
                Operation(.write(1), invoked: 0, returned: 20),
                Operation(.write(2), invoked: 0, returned: 20),
                Operation(.read(1), invoked: 1, returned: 2),
                Operation(.read(2), invoked: 3, returned: 4),
                Operation(.read(1), invoked: 5, returned: 6),
            ]))
    }

    @Test func `A write without an answer may take effect late, or never`() {
        #expect(
            LinearizabilityChecker.accepts([
                Operation(.write(1), invoked: 0, returned: nil),
                Operation(.write(2), invoked: 1, returned: nil),
                Operation(.read(0), invoked: 5, returned: 6),
                Operation(.read(1), invoked: 7, returned: 8),
            ]))
    }

    @Test func `A write without an answer takes effect once`() {
        #expect(
            !LinearizabilityChecker.accepts([
                Operation(.write(1), invoked: 0, returned: nil),
                Operation(.write(2), invoked: 3, returned: 4),
                Operation(.read(1), invoked: 5, returned: 6),
                Operation(.read(2), invoked: 7, returned: 8),
                Operation(.read(1), invoked: 9, returned: 10),
            ]))
    }

    @Test func `A write that began after a read returned was not what it saw`() {
        #expect(
            !LinearizabilityChecker.accepts([
                Operation(.read(1), invoked: 0, returned: 1),
                Operation(.write(1), invoked: 2, returned: 3),
            ]))
    }
}
