import Glibc
import HarnessBackends
import PluginABI
import Synchronization
import Threads
import Time

/// Plugins of role registry, used by several processes, as the nodes of a cluster are: what is kept,
/// or locked, in one process's memory is no registry.
enum RegistryProcessChecks {
    static let all: [Check] = [
        Check(
            "registry.processes", "What one process writes another reads, changes and erases.",
            rule: Rule.registry, needs: .registry, timeout: 60, isShared),
        Check(
            "registry.processes-race",
            "Of processes that create or count up at once, none overwrites another.",
            rule: Rule.registry, needs: .registry, timeout: 120, isAtomic),
    ]

    private static let processes = 4
    private static let roundsOfEach = 8

    /// Each in a process of its own, whatever the command line says.
    private static func make(_ bench: Bench) throws(Finding) -> any Session {
        var job = bench.job
        job.isIsolated = true
        let creation = try IsolatedSession.create(job, bench.arguments())
        guard let session = creation.session else {
            throw .skipped("no instance can be made, see lifecycle.create: \(creation.outline)")
        }
        return session
    }

    private static func value(_ report: CallReport) -> String {
        report.status == RQD_OK
            ? String(decoding: report.record?.value ?? [], as: UTF8.self) : report.outline
    }

    @Sendable private static func isShared(_ bench: Bench) throws(Finding) {
        let (one, other) = (try make(bench), try make(bench))
        let made = try bench.call(one, .write("leader", expected: [], value: Array("1".utf8)))
        guard made.status == RQD_OK else {
            throw .skipped("nothing can be written, see registry.create: \(made.outline)")
        }
        let seen = try bench.call(other, .read("leader"))
        guard seen.status == RQD_OK, let revision = seen.record?.revision, value(seen) == "1" else {
            throw .failed(
                expected: "a second process reads what the first wrote, \"1\"", seen: value(seen))
        }
        let second = try bench.call(other, .write("leader", expected: [], value: Array("2".utf8)))
        guard second.status != RQD_OK else {
            throw .failed(
                expected: "a second process can't create what the first has created",
                seen: second.outline)
        }
        let changed = try bench.call(
            other, .write("leader", expected: revision, value: Array("3".utf8)))
        let again = try bench.call(one, .read("leader"))
        guard changed.status == RQD_OK, value(again) == "3" else {
            throw .failed(
                expected: "the first process reads what the second made of it, \"3\"",
                seen: "\(changed.outline); \(value(again))")
        }
        let last = again.record?.revision ?? []
        _ = try bench.call(one, .erase("leader", expected: last))
        let gone = try bench.call(other, .read("leader"))
        one.destroy()
        other.destroy()
        guard gone.status == RQD_ABSENT else {
            throw .failed(
                expected: "the second process reads that the first erased it", seen: gone.outline)
        }
    }

    private final class Tally: Sendable {
        let winners = Mutex<[Int]>([])
    }

    @Sendable private static func isAtomic(_ bench: Bench) throws(Finding) {
        var made: [any Session] = []
        for _ in 0..<processes { made.append(try make(bench)) }
        let sessions = made
        for round in 0..<roundsOfEach {
            let tally = Tally()
            let name = "race-\(round)"
            try OnThread.all(processes) { (index) throws(Finding) in
                let report = try call(
                    sessions[index], .write(name, expected: [], value: [UInt8(index)]))
                if report.status == RQD_OK { tally.winners.withLock { $0.append(index) } }
            }
            let winners = tally.winners.withLock { $0 }
            let record = try call(sessions[0], .read(name)).record
            if let record { _ = try call(sessions[0], .erase(name, expected: record.revision)) }
            guard winners.count == 1, record?.value == winners.map({ UInt8($0) }) else {
                throw .failed(
                    expected:
                        "one of \(processes) processes creates a record, and it is that one's",
                    seen: "\(winners.count) were told OK, and the record is "
                        + "\(record?.value ?? [])")
            }
        }
        try countUp(sessions)
        for session in sessions { session.destroy() }
    }

    private static func countUp(_ sessions: [any Session]) throws(Finding) {
        let made = try call(sessions[0], .write("count", expected: [], value: Array("0 -".utf8)))
        guard made.status == RQD_OK else {
            throw .skipped("nothing can be written: \(made.outline)")
        }
        try OnThread.all(processes) { (index) throws(Finding) in
            for round in 0..<roundsOfEach {
                try RegistryRaceChecks.countUp(sessions[index], mark: "\(index).\(round)")
            }
        }
        let report = try call(sessions[0], .read("count"))
        if let record = report.record {
            _ = try call(sessions[0], .erase("count", expected: record.revision))
        }
        let count = Int(value(report).split(separator: " ").first ?? "")
        guard count == processes * roundsOfEach else {
            throw .failed(
                expected: "a count of \(processes * roundsOfEach) after \(processes) processes "
                    + "counted up \(roundsOfEach) times each", seen: "\"\(value(report))\"")
        }
    }

    private static func call(
        _ session: any Session, _ request: Request
    ) throws(Finding) -> CallReport { try RegistryRaceChecks.call(session, request) }
}
