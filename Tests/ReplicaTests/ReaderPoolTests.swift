import Glibc
import NodeLogic
import Raft
import Scratch
import Service
import Synchronization
import Testing
import Threads
import Time
import Wire

@testable import Replica
@testable import StateMachine

/// Reads and the threads that serve them. A read called "endless" ends only when it is ended.
@Suite struct ReaderPoolTests {
    private static let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"

    private let bench: Bench

    init() throws { bench = try Bench() }

    @Test(arguments: [(96, 64, 32), (1000, 64, 32), (48, 32, 16), (8, 6, 2), (0, 1, 1)])
    func `Threads beside those that serve reads are for answers in parts and readers given up`(
        spare: Int, streams: Int, givenUp: Int
    ) {
        let limits = ReaderPool.Limits(threads: 4, spare: spare)
        #expect(limits.streams == streams)
        #expect(limits.givenUp == givenUp)
    }

    @Test func `A fast read does not wait behind a slow one`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 4))
        defer { pool.stop(patience: .zero) }
        let slow = bench.sink()
        pool.post((1...3).map { slow.read(UInt64($0), Self.endless) })
        let fast = bench.sink()
        for round in 1...20 as ClosedRange<UInt64> {
            pool.post([fast.read(round, "SELECT 1"), fast.read(round + 100, "SELECT 2")])
            #expect(try fast.replies(2).count == 2)
        }
        #expect(slow.isEmpty)
    }

    @Test func `What is answered goes out while its thread is caught in a long read`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink()
        pool.post([
            sink.read(1, "SELECT 1"), sink.read(2, "SELECT 2"), sink.read(3, Self.endless),
        ])
        #expect(try sink.replies(2).map(\.id.rawValue).sorted() == [1, 2])
        #expect(pool.counts.busy == 1)
    }

    @Test func `A read that nobody waits for ends, and its thread serves the next`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        defer { pool.stop(patience: .zero) }
        let (gone, other) = (bench.sink(), bench.sink())
        pool.post([gone.read(1, Self.endless), gone.read(2, Self.endless)])
        pool.post([other.read(1, "SELECT 1")])
        pool.cancel([RequestID(2), RequestID(1)], from: gone)
        #expect(try other.replies(1).map(\.id.rawValue) == [1])
        #expect(try gone.replies(2).count == 2)
    }

    @Test func `A cancelled read that comes later ends at once`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink()
        pool.cancel([RequestID(7)], from: sink)
        pool.post([sink.read(7, Self.endless)])
        #expect(try sink.replies(1).count == 1)
        // Only this one, and only of this sink.
        let other = bench.sink()
        pool.post([other.read(7, "SELECT 7"), sink.read(8, "SELECT 8")])
        #expect(try other.replies(1).map(bench.text) == ["7"])
        #expect(try sink.replies(1).map(bench.text) == ["8"])
    }

    @Test func `There are fewer readers where each has a large schema in memory`() {
        let limits = ReaderPool.Limits(threads: 256)
        #expect(
            [0, 8 << 20, 64 << 20, 256 << 20, 8 << 30].map(limits.threads(schemaBytes:)) == [
                256, 256, 32, 8, 2,
            ])
        #expect(ReaderPool.Limits(threads: 1).threads(schemaBytes: 0) == 1)
        #expect(
            [0, 32 << 20, 64 << 20, 256 << 20, 8 << 30].map(limits.streams(schemaBytes:)) == [
                64, 64, 32, 8, 1,
            ])
    }

    /// These reads look at no schema, so nothing is known of it but what is said here.
    @Test
    func `Threads end behind their reads where there are too many for a schema that has grown`()
        throws
    {
        let held = Gate()
        var system = ReaderPool.System()
        system.run = { _, _, _, _ in
            held.wait()
            return .busy
        }
        var limits = ReaderPool.Limits(threads: 6)
        limits.idleTime = .seconds(1000)
        let pool = bench.pool(limits, system)
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink()
        pool.post((1...6).map { sink.read(UInt64($0), "held") })
        #expect(
            try bench.eventually {
                pool.grow()
                return pool.counts.busy == 6
            })
        pool.schemaBytes.store(8 << 30, ordering: .relaxed)
        held.open()
        #expect(try sink.replies(6) { pool.grow() }.count == 6)
        #expect(try bench.eventually { pool.counts.threads == 2 })
        #expect(pool.mostThreads == 2)
    }

    @Test
    func `Checks are served while there are more threads than a schema that has grown allows`()
        throws
    {
        let held = Gate()
        var system = ReaderPool.System()
        system.run = { reader, command, deadline, stream in
            if command.statements[0].sql == "held" { held.wait() }
            return reader.run(command, deadline: deadline, stream: stream)
        }
        let pool = bench.pool(ReaderPool.Limits(threads: 5), system)
        defer { pool.stop(patience: .zero) }
        defer { held.open() }
        let slow = bench.sink()
        pool.post((1...5).map { slow.read(UInt64($0), "held") })
        #expect(
            try bench.eventually {
                pool.grow()
                return pool.counts.busy == 5
            })
        pool.schemaBytes.store(8 << 30, ordering: .relaxed)
        let check = bench.sink()
        var job = check.read(1, "SELECT 1")
        job.isUrgent = true
        pool.post([job])
        #expect(try check.replies(1) { pool.grow() }.map(bench.text) == ["1"])
        #expect(slow.isEmpty)
    }

    @Test func `The limit for the database ends a read, the one for other nodes does not`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 2))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink()
        pool.post([sink.read(1, Self.endless, database: .milliseconds(50))])
        #expect(try sink.replies(1).map(bench.text) == ["query timeout"])
        // Counts to about a second's worth of steps, with a time-out of a millisecond.
        let long =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 1000000) "
            + "SELECT count(*) FROM n"
        pool.post([sink.read(2, long, timeout: .milliseconds(1))])
        #expect(try sink.replies(1).map(bench.text) == ["1000000"])
    }

    @Test func `What another node waits for ends when that does not wait any more`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink(isRemote: true)
        pool.post([sink.read(1, Self.endless, timeout: .milliseconds(50))])
        #expect(try sink.replies(1).map(bench.text) == ["query timeout"])
    }

    @Test func `A reader that does not come back is given up, and its client answered`() throws {
        let held = Gate()
        var system = ReaderPool.System()
        system.run = { reader, command, deadline, stream in
            if command.statements[0].sql == "held" { held.wait() }
            return reader.run(command, deadline: deadline, stream: stream)
        }
        var limits = ReaderPool.Limits(threads: 1)
        limits.grace = .milliseconds(20)
        limits.givenUp = 2
        let pool = bench.pool(limits, system)
        let sink = bench.sink()
        for number in 1...3 as ClosedRange<UInt64> {
            pool.post([sink.read(number, "held", database: .milliseconds(10))])
            let replies = try sink.replies(1) { pool.grow() }
            #expect(replies.map(bench.text) == ["query timeout"])
        }
        // Two are replaced; the third keeps its place, but its client has its answer.
        #expect(pool.counts.givenUp == 2)
        pool.post([sink.read(4, "SELECT 4")])
        pool.grow()
        #expect(sink.isEmpty)

        held.open()
        #expect(try sink.replies(1) { pool.grow() }.map(bench.text) == ["4"])
        #expect(try bench.eventually { pool.counts.givenUp == 0 })
        pool.stop()
        #expect(sink.isEmpty, "a held read was answered twice")
    }

    @Test func `A stop does not wait for a reader that does not come back`() throws {
        let held = Gate()
        var system = ReaderPool.System()
        system.run = { _, _, _, _ in
            held.wait()
            return .busy
        }
        var limits = ReaderPool.Limits(threads: 1)
        limits.grace = .milliseconds(20)
        let pool = bench.pool(limits, system)
        let sink = bench.sink()
        pool.post([sink.read(1, "held"), sink.read(2, "never")])
        #expect(try bench.eventually { pool.counts.busy == 1 })
        pool.stop(patience: .milliseconds(20))
        #expect(try sink.replies(2).map(\.id.rawValue).sorted() == [1, 2])
        held.open()
    }

    @Test func `A read that comes after the end is refused`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 1))
        pool.stop(patience: .zero)
        let sink = bench.sink()
        pool.post([sink.read(1, "SELECT 1")])
        #expect(try sink.replies(1).map(bench.text).first?.contains("notReady") == true)
        #expect(pool.counts.waiting == 0)
    }

    @Test func `Checks of the node are served when all threads are held`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 2))
        defer { pool.stop(patience: .zero) }
        let slow = bench.sink()
        pool.post((1...10).map { slow.read(UInt64($0), Self.endless) })
        #expect(try bench.eventually { pool.counts.busy == 2 })
        let check = bench.sink()
        // The thread that the first one had takes none of the long reads.
        for number in 1...3 as ClosedRange<UInt64> {
            var job = check.read(number, "SELECT 1")
            job.isUrgent = true
            pool.post([job])
            #expect(try check.replies(1) { pool.grow() }.map(bench.text) == ["1"])
        }
        #expect(slow.isEmpty)
    }

    @Test func `Threads come when reads wait, and go when they are not needed`() throws {
        var limits = ReaderPool.Limits(threads: 6)
        limits.idleTime = .milliseconds(20)
        let pool = bench.pool(limits)
        defer { pool.stop(patience: .zero) }
        #expect(pool.counts.threads == 2)
        let sink = bench.sink()
        pool.post((1...10).map { sink.read(UInt64($0), Self.endless) })
        #expect(try bench.eventually { pool.counts.threads == 6 && pool.counts.waiting == 4 })
        pool.cancel((1...10).map { RequestID(UInt64($0)) }, from: sink)
        #expect(try sink.replies(10).count == 10)
        #expect(try bench.eventually { pool.counts.threads == 2 })
    }

    @Test func `Long reads work in turns, a few at once, and short ones beside them`() throws {
        let pool = bench.pool(ReaderPool.Limits(threads: 6, atWork: 2))
        defer { pool.stop(patience: .zero) }
        let slow = bench.sink()
        pool.post((1...5).map { slow.read(UInt64($0), Self.endless) })
        #expect(try bench.eventually { pool.counts.resting == 3 && pool.counts.busy == 5 })
        let fast = bench.sink()
        pool.post([fast.read(1, "SELECT 1")])
        #expect(try fast.replies(1).map(bench.text) == ["1"])
        // Who waits for a turn ends as who has one does: when nobody wants it, at its time, or late.
        pool.post([slow.read(6, Self.endless, database: .milliseconds(50))])
        #expect(try slow.replies(1).map(\.id.rawValue) == [6])
        pool.cancel((1...5).map { RequestID(UInt64($0)) }, from: slow)
        #expect(try slow.replies(5).count == 5)
        #expect(try bench.eventually { pool.counts.resting == 0 && pool.counts.busy == 0 })
    }

    @Test func `A long read asks for a turn when it has none, and a check of the node never`() {
        let board = TurnBoard(places: 1)
        let slot = ReaderSlot(number: 1)
        var job = bench.sink().read(1, "SELECT 1")
        _ = slot.begin(job)
        let start = ContinuousClock.now
        #expect(slot.needsTurn(at: start))
        board.take(for: slot)
        #expect(!slot.needsTurn(at: start))
        #expect(slot.needsTurn(at: start + .seconds(60)))
        board.leave(slot)
        #expect(slot.needsTurn(at: start))
        #expect(slot.finish(nil))
        job.isUrgent = true
        _ = slot.begin(job)
        #expect(!slot.needsTurn(at: start))
    }

    @Test func `A reader that is caught in one step keeps no long read waiting`() throws {
        let held = Gate()
        defer { held.open() }
        var system = ReaderPool.System()
        system.run = { reader, command, deadline, stream in
            // Long enough to have a turn, and then caught.
            let outcome = reader.run(command, deadline: deadline, stream: stream)
            if command.statements[0].sql.contains("held") { held.wait() }
            return outcome
        }
        let pool = bench.pool(ReaderPool.Limits(threads: 4, atWork: 1), system)
        defer { pool.stop(patience: .zero) }
        func long(_ name: String) -> String {
            "WITH RECURSIVE \(name)(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM \(name) LIMIT 1000000) "
                + "SELECT count(*) FROM \(name)"
        }
        let sink = bench.sink()
        pool.post([sink.read(1, long("held"))])
        #expect(try bench.eventually { pool.counts.busy == 1 })
        pool.post([sink.read(2, long("free"))])
        #expect(try sink.replies(1) { pool.grow() }.map(bench.text) == ["1000000"])
        #expect(pool.counts.busy == 1)
    }

    @Test func `What came with a read that is caught in one step goes to a reader that sleeps`()
        throws
    {
        let held = Gate()
        var system = ReaderPool.System()
        system.run = { reader, command, deadline, stream in
            if command.statements[0].sql == "held" { held.wait() }
            return reader.run(command, deadline: deadline, stream: stream)
        }
        let pool = bench.pool(ReaderPool.Limits(threads: 2), system)
        defer { pool.stop(patience: .zero) }
        defer { held.open() }
        let sink = bench.sink()
        pool.post([sink.read(1, "held"), sink.read(2, "SELECT 2")])
        #expect(try sink.replies(1) { pool.grow() }.map(bench.text) == ["2"])
    }

    @Test func `Readers that nobody asks let go of a file that was replaced`() throws {
        let held = Gate()
        var system = ReaderPool.System()
        system.run = { reader, command, deadline, stream in
            if command.statements[0].sql == "held" { held.wait() }
            return reader.run(command, deadline: deadline, stream: stream)
        }
        var limits = ReaderPool.Limits(threads: 2)
        limits.idleTime = .milliseconds(20)
        var old: Bench? = try Bench()
        let path = try #require(old?.path)
        let pool = bench.pool(limits, system, path: path)
        defer { pool.stop(patience: .zero) }
        // Each of the two has it open.
        let sink = bench.sink()
        for number in 1...2 {
            pool.post([sink.read(UInt64(number), "held")])
            #expect(try bench.eventually { pool.counts.busy == number })
        }
        held.open()
        _ = try sink.replies(2)
        #expect(Bench.descriptors(of: path) > 0)

        pool.switchTo(bench.path)
        old = nil
        #expect(try bench.eventually { Bench.descriptors(of: path) == 0 })
        pool.post([sink.read(3, "SELECT 3")])
        #expect(try sink.replies(1).map(bench.text) == ["3"])
    }

    @Test func `A database that can't be opened is told to the client, and ends no node`() throws {
        var limits = ReaderPool.Limits(threads: 2)
        limits.pause = .milliseconds(5)
        let pool = bench.pool(limits, path: bench.path + ".missing")
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink()
        for number in 1...4 as ClosedRange<UInt64> {
            pool.post([sink.read(number, "SELECT 1")])
            let reply = try sink.replies(1) { pool.grow() }
            guard case .failed(.notReady(let cause)) = reply[0].outcome else {
                Issue.record("\(reply[0].outcome)")
                continue
            }
            #expect(cause.contains(".missing"))
        }
        #expect(bench.core.count == 0)
        // When it can be opened again, it is, after a pause.
        pool.switchTo(bench.path)
        var answer = ""
        #expect(
            try bench.eventually {
                pool.post([sink.read(9, "SELECT 9")])
                answer = (try? sink.replies(1) { pool.grow() }.first).map(bench.text) ?? "none"
                return answer == "9"
            }, "\(answer)")
    }

    @Test func `Without threads reads are refused until there are some`() throws {
        let refusing = Flag(true)
        var system = ReaderPool.System()
        system.startThread = { (name, body) throws(ThreadShortage) in
            if refusing.value { throw ThreadShortage(name: name, code: EAGAIN) }
            try NamedThread(name, body).detach()
        }
        var limits = ReaderPool.Limits(threads: 2)
        limits.pause = .milliseconds(1)
        let pool = bench.pool(limits, system)
        defer { pool.stop(patience: .zero) }
        let sink = bench.sink()
        pool.post([sink.read(1, "SELECT 1")])
        let reply = try sink.replies(1) { pool.grow() }
        guard case .failed(.notReady(let cause)) = reply[0].outcome else {
            Issue.record("\(reply[0].outcome)")
            return
        }
        #expect(cause.contains("no thread"))
        refusing.lower()
        try bench.waitFor(.milliseconds(5))
        pool.post([sink.read(2, "SELECT 2")])
        #expect(try sink.replies(1) { pool.grow() }.map(bench.text) == ["2"])
        #expect(bench.core.count == 0)
    }

    /// The thread that asks has all else to do, and a thread is waited for.
    @Test func `A copy for whose end there is no thread is looked after again behind a pause`()
        throws
    {
        let attempts = Mailbox<Int>()
        var system = ReaderPool.System()
        system.startThread = { (name, body) throws(ThreadShortage) in
            guard name != "copies" else {
                attempts.post(1)
                throw ThreadShortage(name: name, code: EAGAIN)
            }
            try NamedThread(name, body).detach()
        }
        let kept = KeptCopies(.init(age: .zero))
        kept.begin(try CopyFile("/dev/null", asWAL: false), as: "tag", showing: 1)
        kept.end("tag", at: ContinuousClock.now - .seconds(1))
        var limits = ReaderPool.Limits(threads: 2)
        limits.pause = .seconds(1000)
        let pool = bench.pool(limits, system, kept: kept)
        defer { pool.stop(patience: .zero) }
        for _ in 0..<10 { pool.grow() }
        #expect(attempts.count == 1)
    }
}

/// Holds threads until it is opened.
private final class Gate: Sendable {
    private let mailbox = Mailbox<Int>()

    func wait() {
        _ = mailbox.take(atMost: 1)
        mailbox.post(1)
    }

    func open() { mailbox.post(1) }
}

private final class Flag: Sendable {
    private let state: Mutex<Bool>
    init(_ value: Bool) { state = Mutex(value) }
    var value: Bool { state.withLock { $0 } }
    func lower() { state.withLock { $0 = false } }
}
