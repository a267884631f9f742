import Chance
import Foundation
import Histories
import Synchronization

/// Clients that write and read registers, a bank, lists and sets through all nodes, each of them one
/// request at a time and no request twice, and what they saw.
final class NemesisLoad: Sendable {
    static let tables = [
        "CREATE TABLE registers(key INTEGER PRIMARY KEY, value INTEGER)",
        "CREATE TABLE accounts(key, id, balance, PRIMARY KEY(key, id))",
        "CREATE TABLE transfers(place INTEGER PRIMARY KEY AUTOINCREMENT, key, value)",
        "CREATE INDEX transfers_key ON transfers(key)",
        "CREATE TABLE lists(place INTEGER PRIMARY KEY AUTOINCREMENT, key, value)",
        "CREATE INDEX lists_key ON lists(key)",
        "CREATE TABLE sets(key, value)", "CREATE INDEX sets_key ON sets(key)",
    ]

    private let nodes: [SteadyLoad.Target]
    private let start: ContinuousClock.Instant
    private let record = Mutex(NemesisRecord())
    private let isStopping = Atomic(false)
    private let running: Atomic<Int>
    private let busyPause: Int

    /// Begins at once.
    /// - Parameters:
    ///   - start: what times are counted from.
    ///   - pause: of a worker between two requests, at most, in milliseconds.
    init(
        _ nodes: [Daemon], seed: UInt64, start: ContinuousClock.Instant, workers: Int = 8,
        pause: Int = 30
    ) {
        self.nodes = nodes.map { SteadyLoad.Target(host: $0.host, port: $0.httpPort) }
        self.start = start
        busyPause = pause
        running = Atomic(workers)
        for number in 0..<workers {
            Thread.detachNewThread { [self] in
                let random = SplitMix64(seed: seed &+ UInt64(number) &* 0x1_0000_0001 &+ 1)
                var worker = NemesisWorker(number, nodes: self.nodes, start: start, random)
                while !isStopping.load(ordering: .relaxed) {
                    worker.act { change in record.withLock { change(&$0) } }
                    worker.rest(atMost: busyPause)
                }
                running.subtract(1, ordering: .sequentiallyConsistent)
            }
        }
    }

    /// How many writes were acknowledged so far.
    var acknowledged: Int { record.withLock { $0.acknowledged } }

    /// Lets the requests under way end.
    func stop() async throws -> NemesisRecord {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        try await eventually("the load ends", within: .seconds(60)) {
            self.running.load(ordering: .sequentiallyConsistent) == 0 ? true : nil
        }
        return record.withLock { $0 }
    }

    /// Adds what is there now, by linearizable reads of one node.
    static func look(
        at node: Daemon, into record: inout NemesisRecord, start: ContinuousClock.Instant
    ) async throws {
        func rows(_ sql: String) async throws -> [JSON] {
            try await node.client.rows(sql, level: "linearizable", timeout: .seconds(60))
        }
        func now() -> Int { microseconds(since: start) }
        let invoked = now()
        var values: [Int: Int] = [:]
        for row in try await rows("SELECT key, value FROM registers") {
            values[row[0].int ?? -1] = row[1].int
        }
        for key in Set(record.registers.keys).union(values.keys).sorted() {
            let value = values[key] ?? 0
            record.change(register: key) {
                $0.noteRead(value, invoked: invoked, returned: now())
            }
        }
        for row in try await rows("SELECT key, value FROM lists ORDER BY place") {
            record.change(list: row[0].int ?? -1) { $0.final.append(row[1].int ?? -1) }
        }
        for row in try await rows("SELECT key, value FROM sets") {
            record.change(set: row[0].int ?? -1) { $0.final.append(row[1].int ?? -1) }
        }
        for row in try await rows("SELECT key, value FROM transfers ORDER BY place") {
            record.change(bank: row[0].int ?? -1) { $0.book.append(row[1].int ?? -1) }
        }
        for row in try await rows("SELECT key, id, balance FROM accounts") {
            let id = row[1].int ?? -1
            guard (0..<NemesisRecord.accounts).contains(id) else { continue }
            record.change(bank: row[0].int ?? -1) { $0.balances[id] = row[2].int ?? -1 }
        }
    }
}

func microseconds(since start: ContinuousClock.Instant) -> Int {
    Int((ContinuousClock.now - start) / .microseconds(1))
}
