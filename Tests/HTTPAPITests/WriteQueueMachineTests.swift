import Rights
import Scratch
import Testing
import Wire

@testable import HTTPAPI

/// Queued writes without threads and without a node.
@Suite struct WriteQueueMachineTests {
    private typealias Machine = WriteQueueMachine

    /// A queue, and what it did.
    private struct Bench {
        var machine: Machine
        var now = Duration.zero
        var submitted: [Machine.Submission] = []
        var verdicts: [UInt64: Machine.Verdict] = [:]
        private var lastClient: UInt64 = 0

        init(_ change: (inout WriteQueueSettings) -> Void = { _ in }) {
            var settings = WriteQueueSettings()
            settings.capacity = 4
            settings.batchSize = 2
            change(&settings)
            machine = Machine(settings, start: 100)
        }

        @discardableResult
        mutating func put(
            _ sql: String..., waits: Bool = false, bytes: Int = 10, as user: String = "",
            of owner: Int = 0, timeout: Duration = .seconds(30)
        ) -> UInt64 {
            put(
                sql.map { Statement($0) }, waits: waits, bytes: bytes, as: user, of: owner,
                timeout: timeout)
        }

        @discardableResult
        mutating func put(
            _ statements: [Statement], waits: Bool = false, bytes: Int = 10, as user: String = "",
            of owner: Int = 0, timeout: Duration = .seconds(30)
        ) -> UInt64 {
            lastClient += 1
            machine.put(
                Machine.Arrival(
                    client: Machine.Client(number: lastClient), statements: statements,
                    credential: user.isEmpty ? .none : .token(user), byteCount: bytes, waits: waits,
                    deadline: now + timeout, owner: owner),
                at: now)
            look()
            return lastClient
        }

        mutating func pass(_ time: Duration) {
            let end = now + time
            while let due = machine.nextTick, due <= end {
                now = max(now, due)
                machine.tick(at: now)
                look()
            }
            now = end
        }

        /// All that is under way ends so.
        mutating func finish(_ outcome: Machine.Outcome = .executed(error: nil)) {
            let open = submitted
            submitted = []
            for submission in open { machine.finished(submission.id, outcome, at: now) }
            look()
        }

        mutating func look() {
            for effect in machine.takeEffects() {
                switch effect {
                case .submit(let submissions): submitted += submissions
                case .answer(let client, let verdict):
                    #expect(verdicts[client.number] == nil, "answered twice")
                    verdicts[client.number] = verdict
                }
            }
        }

        var texts: [String] {
            submitted.map { $0.command.statements.map(\.sql).joined(separator: "+") }
        }
    }

    @Test func `Numbers follow each other, and a batch goes out when it is full`() {
        var bench = Bench()
        bench.put("a")
        #expect(bench.verdicts == [1: .taken(sequence: 101)])
        #expect(bench.submitted.isEmpty)
        bench.put("b", "b2")
        #expect(bench.verdicts[2] == .taken(sequence: 102))
        #expect(bench.texts == ["a", "b+b2"])
        bench.put("c")
        bench.put("d")
        #expect(bench.texts == ["a", "b+b2"], "one batch is under way at a time")
        #expect(bench.machine.completedSequence == 0)
        bench.finish()
        #expect(bench.machine.completedSequence == 102)
        #expect(bench.texts == ["c", "d"])
    }

    @Test func `What waits for its batch or a place is counted until its batch goes out`() {
        var bench = Bench()
        for text in ["a", "b", "c", "d", "e"] { bench.put(text, waits: true) }
        // The first two are under way.
        #expect(bench.machine.waitingCount == 3)
        bench.put("f", waits: true)
        bench.put("no place", waits: true, timeout: .seconds(1))
        #expect(bench.machine.waitingCount == 5)
        bench.pass(.seconds(2))
        #expect(bench.verdicts[7] == .full)
        #expect(bench.machine.waitingCount == 4)
        for _ in 0..<3 { bench.finish() }
        #expect(bench.machine.waitingCount == 0)
        #expect(bench.machine.isIdle)
    }

    @Test func `However many wait for a place, one more costs the same, and each is told in time`()
    {
        var bench = Bench()
        let start = ThreadTime.now
        for number in 0..<60_000 {
            bench.put("a", waits: true, timeout: .seconds(30 + number % 3))
            _ = bench.machine.nextTick
        }
        #expect(bench.machine.nextTick == .seconds(30))
        // To look at all others each time takes minutes.
        #expect(ThreadTime.now - start < .seconds(30))
        bench.pass(.seconds(30))
        #expect(bench.verdicts.count == 20_000)
        bench.pass(.seconds(2))
        #expect(bench.verdicts.count == 60_000)
    }

    @Test func `A batch goes out when its first write has waited long enough`() {
        var bench = Bench()
        bench.put("a")
        bench.pass(.milliseconds(49))
        #expect(bench.submitted.isEmpty)
        bench.pass(.milliseconds(1))
        #expect(bench.texts == ["a"])
        #expect(bench.machine.counts.byTimer == 1)
        var never = Bench { $0.timeout = .zero }
        never.put("a")
        never.pass(.seconds(3600))
        #expect(never.submitted.isEmpty)
    }

    @Test func `Bytes fill a batch, and the queue`() {
        var bench = Bench {
            $0.batchSize = 100
            $0.batchBytes = 100
            $0.capacityBytes = 150
        }
        bench.put("a", bytes: 60)
        #expect(bench.submitted.isEmpty)
        bench.put("b", bytes: 60)
        #expect(bench.texts == ["a"], "full, and only as much as fits")
        bench.put("c", bytes: 60)
        let blocked = bench.put("d", bytes: 60)
        #expect(bench.verdicts[blocked] == nil)
        bench.finish()
        #expect(bench.verdicts[blocked] == .taken(sequence: 104))
        bench.finish()
        bench.finish()
        bench.pass(.seconds(1))
        bench.finish()
        bench.put("large", bytes: 10_000)
        #expect(bench.texts == ["large"], "larger than all bounds: it goes alone")
    }

    @Test func `Who waits hears of the own write when it has been carried out, and of its failure`()
    {
        var bench = Bench()
        let first = bench.put("a", waits: true)
        let second = bench.put("b", waits: true)
        #expect(bench.verdicts.isEmpty)
        bench.machine.finished(bench.submitted[1].id, .executed(error: "no"), at: bench.now)
        bench.look()
        #expect(bench.verdicts == [second: .executed(sequence: 102, error: "no")])
        bench.machine.finished(bench.submitted[0].id, .executed(error: nil), at: bench.now)
        bench.look()
        #expect(bench.verdicts[first] == .executed(sequence: 101, error: nil))
    }

    @Test func `Whoever waits too long is told so, and the write is carried out all the same`() {
        var bench = Bench()
        let client = bench.put("a", waits: true, timeout: .milliseconds(30))
        bench.pass(.milliseconds(40))
        #expect(bench.verdicts == [client: .waitedTooLong])
        bench.pass(.milliseconds(20))
        #expect(bench.texts == ["a"])
        bench.finish()
        #expect(bench.machine.completedSequence == 101)
    }

    @Test func `Times that end one after the other are looked at together`() {
        var bench = Bench()
        for number in 1...1000 {
            bench.put("a", waits: true, timeout: .seconds(10) + .milliseconds(number))
        }
        var looks = 0
        while let due = bench.machine.nextTick, due <= .seconds(12) {
            bench.now = due
            bench.machine.tick(at: due)
            looks += 1
        }
        bench.look()
        #expect(bench.verdicts.count == 1000)
        #expect(looks < 200)
    }

    @Test func `A write without a place waits for one, in its turn, and no longer than its time`() {
        var bench = Bench()
        for text in ["a", "b", "c", "d", "e", "f"] { bench.put(text) }
        let late = bench.put("g", timeout: .milliseconds(10))
        let patient = bench.put("h")
        #expect(bench.verdicts[late] == nil && bench.verdicts[patient] == nil)
        bench.pass(.milliseconds(10))
        #expect(bench.verdicts[late] == .full)
        bench.finish()
        #expect(bench.verdicts[patient] == .taken(sequence: 107))
        #expect(bench.texts == ["c", "d"])
    }

    @Test func `Clients that wait for places take turns, each with its own writes in order`() {
        var bench = Bench { $0.timeout = .zero }
        for sql in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] { bench.put(sql, of: 1) }
        for sql in ["x", "y"] { bench.put(sql, of: 2) }
        #expect(bench.texts == ["a", "b"])
        for texts in [["c", "d"], ["e", "f"], ["g", "x"], ["h", "y"], ["i", "j"], []] {
            bench.finish()
            #expect(bench.texts == texts)
        }
        #expect(bench.machine.isIdle)
    }

    @Test func `Who gives up waiting for a place leaves the turns of others alone`() {
        var bench = Bench { $0.timeout = .zero }
        for sql in ["a", "b", "c", "d", "e", "f"] { bench.put(sql, of: 1) }
        let late = bench.put("g", of: 1, timeout: .milliseconds(10))
        bench.put("x", of: 2)
        bench.put("h", of: 1)
        let only = bench.put("z", of: 3, timeout: .milliseconds(10))
        bench.pass(.milliseconds(10))
        #expect(bench.verdicts[late] == .full && bench.verdicts[only] == .full)
        for texts in [["c", "d"], ["e", "f"], ["h", "x"]] {
            bench.finish()
            #expect(bench.texts == texts)
        }
        bench.machine.stop(at: bench.now)
        bench.finish()
        #expect(bench.machine.isIdle)
    }

    @Test func `What failed is asked again after a pause, and later batches wait for it`() {
        var bench = Bench()
        let first = bench.put("a", waits: true)
        bench.put("b")
        bench.put("c")
        bench.put("d")
        bench.machine.finished(bench.submitted[1].id, .executed(error: nil), at: bench.now)
        bench.machine.finished(bench.submitted[0].id, .again, at: bench.now)
        bench.submitted = []
        bench.look()
        bench.pass(.milliseconds(999))
        #expect(bench.submitted.isEmpty)
        bench.pass(.milliseconds(1))
        #expect(bench.texts == ["a"])
        bench.finish(.again)
        bench.pass(.seconds(1))
        #expect(bench.texts == ["a"])
        #expect(bench.verdicts[first] == nil)
        bench.finish()
        #expect(bench.verdicts[first] == .executed(sequence: 101, error: nil))
        #expect(bench.texts == ["c", "d"])
        #expect(bench.machine.counts.again == 2)
    }

    @Test func `What is late has twice the time when it is asked again; what failed has the same`()
    {
        var bench = Bench { $0.patience = .seconds(30) }
        bench.put("a")
        bench.put("b")
        bench.put("c")
        bench.put("d")
        #expect(bench.submitted.map(\.timeout) == [.seconds(30), .seconds(30)])
        bench.machine.finished(bench.submitted[0].id, .late, at: bench.now)
        bench.machine.finished(bench.submitted[1].id, .again, at: bench.now)
        bench.submitted = []
        bench.look()
        bench.pass(.seconds(1))
        #expect(bench.submitted.map(\.timeout) == [.seconds(60), .seconds(60)])
        bench.finish(.again)
        bench.pass(.seconds(1))
        #expect(bench.submitted.map(\.timeout) == [.seconds(60), .seconds(60)])
        for _ in 0..<9 {
            bench.finish(.late)
            bench.pass(.seconds(1))
        }
        #expect(bench.submitted.map(\.timeout) == [.seconds(3600), .seconds(3600)])
        bench.finish()
        #expect(bench.texts == ["c", "d"])
        #expect(bench.submitted.map(\.timeout) == [.seconds(30), .seconds(30)])
    }

    /// A follower's queue, and a leader that applies one write after the other, each for longer than
    /// the follower waits: with the same time each round there would be more to apply for ever.
    @Test(arguments: [(30, 35, 2), (600, 120, 1)])
    func `A node that is only slow carries a write out a few times at most, and the queue goes on`(
        patience: Int, work: Int, times: Int
    ) {
        var bench = Bench {
            $0.batchSize = 1
            $0.patience = .seconds(patience)
        }
        #expect(WriteQueueSettings().patience == .seconds(600))
        bench.put("a")
        var asked = 0
        var leaderIsDone = Duration.zero
        while asked < 100, let submission = bench.submitted.popLast() {
            asked += 1
            leaderIsDone = max(leaderIsDone, bench.now) + .seconds(work)
            let end = min(leaderIsDone, bench.now + submission.timeout + .seconds(1))
            bench.pass(end - bench.now)
            let outcome: Machine.Outcome = end == leaderIsDone ? .executed(error: nil) : .late
            bench.machine.finished(submission.id, outcome, at: bench.now)
            bench.look()
            bench.pass(.seconds(1))
        }
        #expect(asked == times)
        #expect(bench.machine.isIdle)
    }

    /// In a queue that is never empty, and before one.
    @Test(
        arguments: [
            (4, [], ["d", "e"]), (2, ["c", "d"], ["e", "f", "g", "h", "i", "j"]),
        ] as [(Int, [String], [String])])
    func `What was carried out is not kept while others wait`(
        capacity: Int, before: [String], after: [String]
    ) {
        var bench = Bench { $0.capacity = capacity }
        bench.put("a")
        bench.put("b")
        for text in before { bench.put(text) }
        var bytes = [UInt8](repeating: 1, count: 4096)
        let place = bytes.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
        bench.put([Statement("large", positional: [.blob(bytes)])])
        for text in after { bench.put(text) }
        bench.finish()
        if !before.isEmpty { bench.finish() }
        #expect(bench.texts.first == "large")
        bench.finish()
        #expect(!bench.machine.isIdle)
        // An array that somebody else has, too, is copied by that.
        bytes[0] = 2
        #expect(bytes.withUnsafeBytes { Int(bitPattern: $0.baseAddress) } == place)
    }

    @Test func `An empty write waits for those before it, and asks nothing of the node`() {
        var bench = Bench()
        let alone = bench.put(waits: true)
        bench.pass(.milliseconds(50))
        #expect(bench.verdicts[alone] == .executed(sequence: 101, error: nil))
        bench.put("a")
        bench.put("b")
        let barrier = bench.put(waits: true)
        bench.pass(.seconds(1))
        #expect(bench.verdicts[barrier] == nil)
        bench.finish()
        bench.pass(.seconds(1))
        #expect(bench.verdicts[barrier] == .executed(sequence: 104, error: nil))
        #expect(bench.submitted.isEmpty)
    }

    @Test(arguments: [false, true])
    func `An empty write waits for those that go out with it, however often they are asked again`(
        isTransaction: Bool
    ) {
        var bench = Bench {
            $0.batchSize = 3
            $0.isTransaction = isTransaction
        }
        bench.put("a")
        let barrier = bench.put(waits: true)
        bench.put("b")
        #expect(bench.texts == (isTransaction ? ["a+b"] : ["a", "b"]))
        #expect(bench.verdicts[barrier] == nil)
        bench.finish(.again)
        bench.pass(.seconds(1))
        #expect(bench.verdicts[barrier] == nil)
        bench.finish()
        #expect(bench.verdicts[barrier] == .executed(sequence: 102, error: nil))
        #expect(bench.machine.completedSequence == 103)
    }

    @Test func `With transactions the neighbours of one client are one request`() {
        var bench = Bench {
            $0.batchSize = 4
            $0.isTransaction = true
        }
        for (text, user) in [("a", "x"), ("b", "x"), ("c", "y"), ("d", "x")] {
            bench.put(text, as: user)
        }
        #expect(bench.texts == ["a+b", "c", "d"])
        #expect(bench.submitted.allSatisfy { $0.command.transaction })
        #expect(bench.submitted.map(\.credential) == [.token("x"), .token("y"), .token("x")])
        var plain = Bench()
        plain.put("a", as: "x")
        plain.put("b", as: "x")
        #expect(plain.texts == ["a", "b"])
        #expect(!plain.submitted.contains { $0.command.transaction })
    }

    @Test func `At the end all that has a place goes out, and nothing new is taken`() {
        var bench = Bench { $0.timeout = .zero }
        bench.put("a")
        bench.put("b")
        let last = bench.put("c", waits: true)
        bench.machine.hurry(at: bench.now)
        bench.look()
        bench.put("d")
        bench.machine.stop(at: bench.now)
        bench.look()
        let late = bench.put("e")
        #expect(bench.verdicts[late] == .stopped)
        bench.finish()
        #expect(bench.texts == ["c", "d"])
        bench.finish()
        #expect(bench.verdicts[last] == .executed(sequence: 103, error: nil))
        #expect(bench.machine.isIdle)
    }

    @Test func `What fails at the end, or takes too long, is dropped, and who waits is told`() {
        var bench = Bench()
        let first = bench.put("a", waits: true)
        bench.put("b")
        let third = bench.put("c", waits: true)
        bench.finish(.again)
        bench.machine.stop(at: bench.now)
        bench.look()
        #expect(bench.texts == ["a", "b"], "once more")
        bench.finish(.again)
        #expect(bench.verdicts[first] == .stopped)
        #expect(bench.verdicts[third] == .stopped)
        #expect(bench.machine.isIdle)
        var hung = Bench()
        let waiting = hung.put("a", waits: true)
        hung.put("b")
        hung.machine.giveUp()
        hung.look()
        #expect(hung.verdicts[waiting] == .stopped)
        hung.finish()
        #expect(hung.machine.isIdle)
    }

    @Test func `Every write is answered once and carried out in order, whatever happens`() {
        for seed in UInt64(1)...200 {
            var random = seed &* 0x9E37_79B9_7F4A_7C15
            func next(_ count: UInt64) -> UInt64 {
                random ^= random << 13
                random ^= random >> 7
                random ^= random << 17
                return random % count
            }
            var bench = Bench { $0.capacityBytes = 60 }
            var clients: [UInt64] = []
            var done: [String] = []
            for number in 0..<60 {
                let waits = next(2) == 0
                let bytes = Int(next(40))
                clients.append(
                    bench.put("\(number)", waits: waits, bytes: bytes, timeout: .seconds(9999)))
                if next(3) == 0 { bench.pass(.milliseconds(Int(next(80)))) }
                guard next(2) == 0, !bench.submitted.isEmpty else { continue }
                let fails = next(4) == 0
                if !fails { done += bench.texts }
                bench.finish(fails ? .again : .executed(error: nil))
            }
            for _ in 0..<200 where !bench.machine.isIdle {
                bench.pass(.seconds(1))
                done += bench.texts
                bench.finish()
            }
            #expect(bench.machine.isIdle, "seed \(seed)")
            #expect(done == (0..<60).map { "\($0)" }, "seed \(seed)")
            #expect(clients.allSatisfy { bench.verdicts[$0] != nil }, "seed \(seed)")
        }
    }
}
