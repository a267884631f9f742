import HarnessBackends
import PluginABI
import Synchronization
import Threads
import Time

/// Plugins of role registry, when several write or the outcome is in doubt.
enum RegistryRaceChecks {
    static let all: [Check] = [
        Check(
            "registry.race", "Of 16 clients that create a record at once, one succeeds.",
            rule: Rule.registry, needs: .registry, timeout: 60, createsOnceForAll),
        Check(
            "registry.contention", "No update of 16 concurrent clients is lost.",
            rule: Rule.registry, needs: .registry, timeout: 90, losesNothing),
        Check(
            "registry.unknown", "A write that may have happened is not reported as OK or final.",
            rule: Rule.status, needs: [.registry, .fakeServer], timeout: 60, admitsDoubt),
        Check(
            "registry.unwritten", "A write that the server never executed is not reported as OK.",
            rule: Rule.status, needs: [.registry, .fakeServer], doesNotInvent),
    ]

    private static let clients = 16
    private static let roundsOfEach = 5

    @Sendable private static func createsOnceForAll(_ bench: Bench) throws(Finding) {
        let sessions = try makeSessions(bench)
        let winners = Winners()
        try OnThread.all(clients) { (index) throws(Finding) in
            let report = try call(
                sessions[index], .write("leader", expected: [], value: [UInt8(index)]))
            if report.status == RQD_OK { winners.add(index) }
        }
        let record = try call(sessions[0], .read("leader")).record
        if let record {
            _ = try call(sessions[0], .erase("leader", expected: record.revision))
        }
        for session in sessions { session.destroy() }
        guard winners.all.count == 1, record?.value == winners.all.map({ UInt8($0) }) else {
            throw .failed(
                expected: "one of \(clients) clients creates the record, and it is that one's",
                seen: "\(winners.all.count) were told OK, and the record is \(record?.value ?? [])")
        }
    }

    private final class Winners: Sendable {
        private let indices = Mutex<[Int]>([])
        func add(_ index: Int) { indices.withLock { $0.append(index) } }
        var all: [Int] { indices.withLock { $0 } }
    }

    private static func makeSessions(_ bench: Bench) throws(Finding) -> [any Session] {
        var sessions: [any Session] = []
        for _ in 0..<clients { sessions.append(try bench.instance()) }
        return sessions
    }

    static func call(
        _ session: any Session, _ request: Request
    ) throws(Finding) -> CallReport {
        let deadline = MonotonicTime.now.nanoseconds + 20 * Bench.second
        guard
            let report = session.begin(request, deadline: deadline)
                .wait(until: deadline + Bench.grace * Bench.second)
        else {
            throw .failed(expected: "\(request.name) comes back", seen: "it did not")
        }
        return report
    }

    /// Each client counts up a few times: reads, and writes one more if nobody was faster. The value
    /// is the count, and a mark of who wrote it for which of his rounds.
    @Sendable private static func losesNothing(_ bench: Bench) throws(Finding) {
        let sessions = try makeSessions(bench)
        let made = try call(
            sessions[0], .write("count", expected: [], value: Array("0 -".utf8)))
        guard made.status == RQD_OK else {
            throw .skipped("nothing can be written: \(made.outline)")
        }
        try OnThread.all(clients) { (index) throws(Finding) in
            for round in 0..<roundsOfEach {
                try countUp(sessions[index], mark: "\(index).\(round)")
            }
        }
        let report = try call(sessions[0], .read("count"))
        if let record = report.record {
            _ = try call(sessions[0], .erase("count", expected: record.revision))
        }
        for session in sessions { session.destroy() }
        let count = Int(text(report).split(separator: " ").first ?? "")
        guard count == clients * roundsOfEach else {
            throw .failed(
                expected: "a count of \(clients * roundsOfEach) after \(clients) clients "
                    + "counted up \(roundsOfEach) times each",
                seen: "\"\(text(report))\"")
        }
    }

    private static func text(_ report: CallReport) -> String {
        String(decoding: report.record?.value ?? [], as: UTF8.self)
    }

    static func countUp(_ session: any Session, mark: String) throws(Finding) {
        // Every round in which another is faster is progress for somebody.
        for _ in 0...(clients * roundsOfEach * 2) {
            let report = try call(session, .read("count"))
            guard report.status == RQD_OK, let record = report.record,
                let count = Int(text(report).split(separator: " ").first ?? "")
            else { throw .failed(expected: "the record count", seen: report.outline) }
            // A write that was answered with a conflict may have been this client's own.
            if text(report).hasSuffix(" \(mark)") { return }
            let value = Array("\(count + 1) \(mark)".utf8)
            let write = try call(
                session, .write("count", expected: record.revision, value: value))
            if write.status == RQD_OK { return }
            guard [RQD_CONFLICT, RQD_TIMEOUT, RQD_UNAVAILABLE].contains(write.status) else {
                throw .failed(expected: "OK or CONFLICT", seen: write.outline)
            }
        }
        throw .failed(
            expected: "somebody's update succeeds in each round", seen: "one client never got in")
    }

    @Sendable private static func admitsDoubt(_ bench: Bench) throws(Finding) {
        let client = try RegistryChecks.Client(bench)
        let server = try bench.fake()
        var revision = try client.make("leader", Array("0".utf8))
        for round in 1...5 {
            // A plugin that tries again finds its own write done.
            try server.misbehave(.dropAfterExecution, times: round == 5 ? nil : 1)
            let value = Array("\(round)".utf8)
            let report = try client.bench.call(
                client.session, .write("leader", expected: revision, value: value), seconds: 1)
            try server.misbehave(.none)
            let stored = try client.read("leader")
            guard let record = stored.record else {
                throw .failed(
                    expected: "the record can be read after a write in doubt",
                    seen: stored.outline)
            }
            if report.status == RQD_OK,
                record.value != value || report.record?.revision != record.revision
            {
                throw .failed(
                    expected: "OK only with the revision that the record now has",
                    seen: "OK with \(report.record?.revision ?? []), and the record has "
                        + "\(record.revision)")
            }
            guard ![RQD_CONFIG, RQD_UNSUPPORTED].contains(report.status) else {
                throw .failed(
                    expected: "a status after which the host reads again", seen: report.outline)
            }
            revision = record.revision
        }
        client.end()
    }

    @Sendable private static func doesNotInvent(_ bench: Bench) throws(Finding) {
        let client = try RegistryChecks.Client(bench)
        let server = try bench.fake()
        let revision = try client.make("leader", Array("0".utf8))
        for fault in [Fault.reset, .status(500), .html, .garbage, .silent] {
            try server.misbehave(fault)
            let report = try client.bench.call(
                client.session, .write("leader", expected: revision, value: Array("1".utf8)),
                seconds: 1)
            try server.misbehave(.none)
            guard report.status != RQD_OK else {
                throw .failed(
                    expected: "no OK for a write that was answered by \(fault)",
                    seen: report.outline)
            }
            try RegistryChecks.demandValue(
                client, "leader", Array("0".utf8), "after a write that was never executed")
        }
        client.end()
    }
}
