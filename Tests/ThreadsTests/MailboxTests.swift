import Glibc
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

    @Test func `A patient receiver takes what is posted patiently with what comes next`() throws {
        let box = Mailbox<Int>()
        let taken = Mailbox<[Int]>()
        let receiver = try NamedThread("receiver") {
            taken.post(box.take(patiently: true))
            taken.post(box.take())
        }
        while !box.isWaitedFor { sched_yield() }
        box.postPatiently([1, 2])
        #expect(taken.take(until: .now + .milliseconds(20)).isEmpty)
        box.post(3)
        #expect(taken.take() == [[1, 2, 3]])
        while !box.isWaitedFor { sched_yield() }
        box.postPatiently([4])
        #expect(taken.take() == [[4]])
        receiver.join()
    }

    @Test func `What was posted patiently before the receiver came is there at once`() {
        let box = Mailbox<Int>()
        box.postPatiently([1])
        #expect(box.take(patiently: true) == [1])
    }
}
