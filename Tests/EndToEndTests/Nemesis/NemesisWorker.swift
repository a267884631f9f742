import Chance
import Foundation
import Histories

/// One client of the nemesis' load. Blocks its thread.
struct NemesisWorker {
    typealias Note = ((inout NemesisRecord) -> Void) -> Void

    /// Places last so long, in microseconds.
    private static let epoch = 4_000_000

    private let number: Int
    private let nodes: [SteadyLoad.Target]
    private let start: ContinuousClock.Instant
    private var random: SplitMix64
    private var wire: HTTPWire?
    private var target: Int
    private var sequence = 0

    init(
        _ number: Int, nodes: [SteadyLoad.Target], start: ContinuousClock.Instant,
        _ random: SplitMix64
    ) {
        self.number = number
        self.nodes = nodes
        self.start = start
        self.random = random
        target = number % nodes.count
    }

    mutating func rest(atMost milliseconds: Int) {
        pause(until: .now + .milliseconds(1 + random.below(max(1, milliseconds))))
    }

    /// Asks once, and tells what came of it.
    mutating func act(_ note: Note) {
        sequence += 1
        let value = (number + 1) * 100_000_000 + sequence
        let key = microseconds(since: start) / Self.epoch
        switch random.below(8) {
        case 0: write(register: key * 3 + random.below(3), value, note)
        case 1: read(register: key * 3 + random.below(3), note)
        case 2: transfer(in: key, value, note)
        case 3: read(bank: key, note)
        case 4: append(to: key * 2 + random.below(2), value, note)
        case 5: read(list: key * 2 + random.below(2), note)
        case 6: add(to: key, value, note)
        default: read(set: key, note)
        }
    }

    // MARK: Writes

    private mutating func write(register key: Int, _ value: Int, _ note: Note) {
        let upsert =
            "INSERT INTO registers VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value"
        let attempt = write([[upsert, key, value]], value, .register, note)
        note { $0.change(register: key) { $0.note(attempt) } }
    }

    private mutating func append(to key: Int, _ value: Int, _ note: Note) {
        let attempt = write(
            [["INSERT INTO lists(key, value) VALUES(?,?)", key, value]], value, .list, note)
        note { $0.change(list: key) { $0.attempts.append(attempt) } }
    }

    private mutating func add(to key: Int, _ value: Int, _ note: Note) {
        let attempt = write([["INSERT INTO sets VALUES(?,?)", key, value]], value, .set, note)
        note { $0.change(set: key) { $0.attempts.append(attempt) } }
    }

    private mutating func transfer(in key: Int, _ value: Int, _ note: Note) {
        let from = random.below(NemesisRecord.accounts)
        let to = (from + 1 + random.below(NemesisRecord.accounts - 1)) % NemesisRecord.accounts
        let amount = 1 + random.below(1_000)
        let change =
            "INSERT INTO accounts VALUES(?,?,?) "
            + "ON CONFLICT(key, id) DO UPDATE SET balance=balance+excluded.balance"
        let attempt = write(
            [
                [change, key, from, -amount], [change, key, to, amount],
                ["INSERT INTO transfers(key, value) VALUES(?,?)", key, value],
            ], value, .bank, note)
        let transfer = BankHistory.Transfer(
            attempt, from: from, to: to, amount: amount)
        note { $0.change(bank: key) { $0.transfers.append(transfer) } }
    }

    private mutating func write(
        _ statements: [[Any]], _ value: Int, _ workload: NemesisRecord.Workload, _ note: Note
    ) -> Attempt {
        let invoked = microseconds(since: start)
        let answer = ask("/db/execute?timeout=2s&transaction", statements)
        let attempt = Attempt(
            value, invoked: invoked, returned: microseconds(since: start), answer.outcome)
        note { $0.count(workload, isRead: false, answer) }
        return attempt
    }

    // MARK: Reads

    /// What a read found, when it was asked for and answered, and whether it had to see all.
    private struct Found {
        var rows: [JSON]
        var invoked: Int
        var returned: Int
        var isLinearizable: Bool
    }

    private mutating func read(register key: Int, _ note: Note) {
        let sql = "SELECT value FROM registers WHERE key=?"
        guard let found = read([sql, key], .register, note) else { return }
        let value = found.rows.first?[0].int ?? 0
        note {
            $0.change(register: key) {
                if found.isLinearizable {
                    $0.noteRead(value, invoked: found.invoked, returned: found.returned)
                } else {
                    $0.noteGlimpse(value, returned: found.returned)
                }
            }
        }
    }

    private mutating func read(list key: Int, _ note: Note) {
        let sql = "SELECT value FROM lists WHERE key=? ORDER BY place"
        guard let found = read([sql, key], .list, note) else { return }
        note { $0.change(list: key) { $0.sightings.append(Self.sighting(found)) } }
    }

    private mutating func read(set key: Int, _ note: Note) {
        guard let found = read(["SELECT value FROM sets WHERE key=?", key], .set, note) else {
            return
        }
        note { $0.change(set: key) { $0.sightings.append(Self.sighting(found)) } }
    }

    private static func sighting(_ found: Found) -> CollectionHistory.Sighting {
        .init(
            found.rows.map { $0[0].int ?? -1 }, invoked: found.invoked, returned: found.returned,
            isLinearizable: found.isLinearizable)
    }

    private mutating func read(bank key: Int, _ note: Note) {
        let sql =
            "SELECT id, balance, (SELECT count(*) FROM transfers WHERE key=accounts.key) "
            + "FROM accounts WHERE key=?"
        guard let found = read([sql, key], .bank, note) else { return }
        var balances = Array(repeating: 0, count: NemesisRecord.accounts)
        for row in found.rows {
            guard let id = row[0].int, balances.indices.contains(id) else { continue }
            balances[id] = row[1].int ?? .max
        }
        let sighting = BankHistory.Sighting(
            count: found.rows.first?[2].int ?? 0, balances, invoked: found.invoked,
            returned: found.returned, isLinearizable: found.isLinearizable)
        note { $0.change(bank: key) { $0.sightings.append(sighting) } }
    }

    private mutating func read(
        _ statement: [Any], _ workload: NemesisRecord.Workload, _ note: Note
    ) -> Found? {
        let levels = ["linearizable", "linearizable", "linearizable", "strong", "weak", "none"]
        let level = random.below(levels.count)
        let invoked = microseconds(since: start)
        let answer = ask(
            "/db/query?level=\(levels[level])&timeout=2s&linearizable_timeout=2s", [statement])
        note { $0.count(workload, isRead: true, answer) }
        guard answer.outcome == .done else { return nil }
        return Found(
            rows: answer.rows, invoked: invoked, returned: microseconds(since: start),
            isLinearizable: level < 4)
    }

    // MARK: Sending

    private mutating func ask(_ path: String, _ statements: [[Any]]) -> NemesisAnswer {
        if wire?.isOver ?? false || random.chance(1, of: 20) { moveOn() }
        guard let body = try? JSONSerialization.data(withJSONObject: statements) else {
            return .notSent
        }
        for _ in nodes.indices where wire == nil {
            wire = try? HTTPWire(host: nodes[target].host, port: nodes[target].port, timeout: 4)
            if wire == nil { target = (target + 1) % nodes.count }
        }
        guard let wire else { return .notSent }
        let answer = NemesisAnswer(
            try? wire.post(path, body, keepAlive: true), statements: statements.count)
        // A client with a list of nodes asks another one after a failure.
        if answer.outcome != .done { moveOn() }
        return answer
    }

    private mutating func moveOn() {
        wire = nil
        target = random.below(nodes.count)
    }
}
