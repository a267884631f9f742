import Service
import Synchronization
import Testing
import Time
import Wire

@testable import Replica

/// Checks of the node that ask the database, many at a time.
@Suite struct DatabaseProbeTests {
    /// What the readers were asked, and have not answered.
    private final class Line: Sendable {
        private let jobs = Mutex<[ReadJob]>([])

        func post(_ new: [ReadJob]) { jobs.withLock { $0 += new } }

        func take() -> [ReadJob] {
            jobs.withLock { jobs in
                defer { jobs = [] }
                return jobs
            }
        }
    }

    private let line = Line()
    private let sink = Sink(isRemote: false, takesParts: false)
    private let probe: DatabaseProbe

    init() { probe = DatabaseProbe { [line] in line.post($0) } }

    private func check(_ id: UInt64, synced: Bool = false, at seconds: Int = 0) {
        let target = ReplyTarget(sink: sink, id: RequestID(id))
        probe.check(target, synced: synced, now: .zero + .seconds(seconds))
    }

    private func answer(_ job: ReadJob, rows count: Int = 1) {
        let rows = RowSet(columns: ["1"], types: ["integer"], rowCount: count)
        let result = CommandResult([StatementResult(.rows(rows), isRead: true)])
        job.target.sink.deliver([Reply(id: job.target.id, outcome: .results(result))])
    }

    private func said(_ count: Int) throws -> [UInt64: Readiness] {
        var found: [UInt64: Readiness] = [:]
        for reply in try sink.replies(count) {
            if case .readiness(let readiness) = reply.outcome {
                found[reply.id.rawValue] = readiness
            }
        }
        return found
    }

    @Test func `Those that come while one is under way have the next one together`() throws {
        check(1)
        let first = line.take()
        #expect(first.count == 1)
        #expect(first.allSatisfy { $0.isUrgent })
        for id in 2...1000 as ClosedRange<UInt64> { check(id, synced: id == 7) }
        #expect(line.take().isEmpty)
        for job in first { answer(job) }
        #expect(try said(1) == [1: .ready(synced: false)])
        let second = line.take()
        #expect(second.count == 1)
        for job in second { answer(job) }
        let others = try said(999)
        #expect(others.count == 999)
        #expect(others[7] == .ready(synced: true))
        #expect(others[8] == .ready(synced: false))
        #expect(line.take().isEmpty)
    }

    @Test func `A reader that does not come back holds up nobody who comes later`() throws {
        check(1)
        let held = line.take()
        check(2)
        #expect(line.take().isEmpty)
        check(3, at: 1)
        let next = line.take()
        #expect(next.count == 1)
        for job in next { answer(job, rows: 0) }
        let failed = try said(2)
        #expect(failed.keys.sorted() == [2, 3])
        #expect(!failed.values.contains(.ready(synced: false)))
        for job in held { answer(job) }
        #expect(try said(1) == [1: .ready(synced: false)])
    }

    @Test func `Who came while a query is held waits for no other check`() throws {
        check(1)
        let held = line.take()
        check(2)
        probe.lookAgain(at: .zero + .milliseconds(900))
        #expect(line.take().isEmpty)
        probe.lookAgain(at: .zero + .seconds(1))
        let next = line.take()
        #expect(next.count == 1)
        for job in next { answer(job) }
        #expect(try said(1) == [2: .ready(synced: false)])
        probe.lookAgain(at: .zero + .seconds(9))
        #expect(line.take().isEmpty)
        for job in held { answer(job) }
        #expect(try said(1) == [1: .ready(synced: false)])
    }

    @Test func `Checks whose queries are held have a bound`() throws {
        let most: UInt64 = 16_384
        check(1)
        var held = line.take()
        for id in 2...most { check(id) }
        probe.lookAgain(at: .zero + .seconds(1))
        held += line.take()
        #expect(held.count == 2)
        check(most + 1, at: 2)
        #expect(try said(1)[most + 1] != .ready(synced: false))
        #expect(line.take().isEmpty)
        for job in held { answer(job) }
        #expect(try said(Int(most)).count == Int(most))
        check(1, at: 3)
        #expect(line.take().count == 1)
    }
}
