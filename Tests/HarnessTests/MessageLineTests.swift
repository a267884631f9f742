import Glibc
import JSON
import Testing
import Threads
import Time

@testable import Harness

/// Messages between the harness and the process of a check, in which a plugin may do anything.
@Suite struct MessageLineTests {
    private var now: UInt64 { MonotonicTime.now.nanoseconds }

    @Test func `A message that is not whole by its time is none`() throws {
        var ends: [Int32] = [-1, -1]
        let isMade = socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0
        try #require(isMade)
        let (own, other) = (ends[0], ends[1])
        defer {
            close(own)
            close(other)
        }
        func write(_ text: String) {
            let bytes = Array(text.utf8)
            let count = send(other, bytes, bytes.count, 0)
            #expect(count == bytes.count)
        }
        let line = MessageLine(own)
        write("{\"a\":")
        #expect(line.receive(until: now + 50_000_000) == nil)
        write("1}\n")
        #expect(line.receive(until: now + 60_000_000_000)?["a"]?.integer == 1)
    }
}
