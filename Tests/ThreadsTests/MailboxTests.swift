import Testing
import Threads
import Time

/// The queue between threads.
@Suite struct MailboxTests {
    @Test func `Items come in their order, batches undivided`() throws {
        let box = Mailbox<Int>()
        let threads = try (0..<4).map { number in
            try NamedThread("sender") {
                for _ in 0..<100 { box.post([number, number, number]) }
            }
        }
        var taken: [Int] = []
        while taken.count < 1200 { taken += box.take() }
        for thread in threads { thread.join() }
        #expect(box.count == 0)
        for start in stride(from: 0, to: taken.count, by: 3) {
            #expect(Set(taken[start..<(start + 3)]).count == 1)
        }
    }

    @Test func `No more is taken than was asked for, and none when the time is up`() {
        let box = Mailbox<Int>()
        box.post([1, 2, 3])
        #expect(box.take(atMost: 2) == [1, 2])
        #expect(box.take(atMost: 2) == [3])
        let before = MonotonicTime.now
        #expect(box.take(until: before + .milliseconds(20)).isEmpty)
        #expect(MonotonicTime.now - before >= .milliseconds(20))
        #expect(box.take(until: .zero).isEmpty)
    }
}
