import Foundation
import NodeLogic
import Raft
import Replication
import Scratch
import Telemetry
import Testing
import Threads
import Time
import WriteAheadLog

@testable import Replica

/// The log's thread, and those who wait for it.
@Suite struct LogThreadTests {
    private let directory: TemporaryDirectory
    private let core = Mailbox<NodeEvent>()
    private let log: LogThread

    init() throws {
        directory = try TemporaryDirectory("log")
        (log, _) = try LogThread.start(
            directory: directory.path + "/log", bootID: RandomID(high: 1, low: 2), core: core,
            timings: NodeTimings(MetricRegistry()))
    }

    /// As where a file system has no blocks.
    @Test func `The log is kept for its copies also where nobody knows a disk's room`() {
        let free: [UInt64?] = [0, 4 << 20, 1 << 40, nil]
        #expect(free.map { Node.keptBytes(free: $0) } == [0, 1 << 20, 1 << 30, 1 << 30])
    }

    /// What a thread that waits for the log gets; nil: it waits for ever.
    private func failure(
        of wait: @escaping @Sendable (LogThread) throws(LogError) -> Void
    ) throws -> String? {
        let answers = Mailbox<String>()
        let log = log
        try NamedThread("waits") {
            do throws(LogError) {
                try wait(log)
                answers.post("nothing failed")
            } catch {
                answers.post("\(error)")
            }
        }.detach()
        return answers.take(until: .now + .seconds(60)).first
    }

    private func reports(_ isIt: (NodeEvent) -> Bool) -> Bool {
        let limit = MonotonicTime.now + .seconds(60)
        while MonotonicTime.now < limit {
            if core.take(until: limit).contains(where: isIt) { return true }
        }
        return false
    }

    private func hasFault() -> Bool {
        reports { if case .fault = $0 { true } else { false } }
    }

    @Test func `Whoever waits for a log that fails hears why, then and ever after`() throws {
        try log.recordNow([.generation(1)])
        let entries = (1...3).map { index in
            Entry(index: LogIndex(index), term: Term(1), payload: .command([1, 2, 3]))
        }
        log.post(
            .write(
                LogWrite(
                    ticket: PersistTicket(1), hardState: HardState(term: Term(1)),
                    entries: entries, commitIndex: .zero)))
        #expect(reports { if case .log(.written) = $0 { true } else { false } })
        #expect(try log.tail(after: .zero, holding: 1 << 20).entries.count == 3)
        let path = directory.path + "/log"
        for name in try FileManager.default.contentsOfDirectory(atPath: path) {
            let file = try FileHandle(forUpdating: URL(filePath: path + "/" + name))
            try file.write(contentsOf: Data(count: 65536))
            try file.close()
        }
        let read = try failure { log throws(LogError) in
            _ = try log.tail(after: .zero, holding: 1 << 20)
        }
        #expect(read?.contains(path + "/") == true, "\(read ?? "it waits for ever")")
        let written = try failure { log throws(LogError) in try log.recordNow([.generation(2)]) }
        #expect(written == read)
        #expect(hasFault())
        log.stop()
    }

    @Test func `A write that the disk refuses at a start is told, and the thread ends`() throws {
        // The next segment finds no place.
        try FileManager.default.removeItem(atPath: directory.path + "/log")
        let large = [UInt8](repeating: 7, count: 17 << 20)
        let refusal = try failure { log throws(LogError) in try log.recordNow([.formation(large)]) }
        #expect(refusal?.contains("No such file") == true, "\(refusal ?? "it waits for ever")")
        #expect(hasFault())
        log.stop()
    }
}
