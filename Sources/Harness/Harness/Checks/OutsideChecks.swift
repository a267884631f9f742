import Glibc
import HarnessBackends
import PluginABI
import Threads
import Time

/// A plugin in a process of its own, as the system shows that process to others.
enum OutsideChecks {
    static let all: [Check] = [
        Check(
            "manners.outside",
            "From outside, too: no output, and handlers, directory, mask and limits stay.",
            rule: Rule.manners, needs: .isolated, timeout: 60, isGoodGuest),
        Check(
            "leaks.outside",
            "From outside, too: descriptors, threads, children and memory don't grow.",
            rule: Rule.memory, needs: .isolated, timeout: 90, doesNotGrow),
    ]

    private static let rounds = 60
    /// Bytes of each round that may stay: what a collector of garbage has not looked at yet.
    private static let toleratedBytes = 2048

    private static func start(_ bench: Bench) throws(Finding) -> (IsolatedSession, String) {
        guard let session = try bench.instance() as? IsolatedSession,
            let process = session.processID
        else { throw .skipped("the plugin's process is not known") }
        return (session, String(process))
    }

    private static func state(of process: String) -> [(name: String, value: String)] {
        [
            ("signal handlers", ProcessFacts.statusLine("SigCgt", of: process)),
            ("ignored signals", ProcessFacts.statusLine("SigIgn", of: process)),
            ("the file mode mask", ProcessFacts.statusLine("Umask", of: process)),
            ("the working directory", ProcessFacts.link("/proc/\(process)/cwd")),
            ("the limits", ProcessFacts.text("/proc/\(process)/limits") ?? ""),
            ("standard input", ProcessFacts.link("/proc/\(process)/fd/0")),
            ("standard output", ProcessFacts.link("/proc/\(process)/fd/1")),
            ("standard error", ProcessFacts.link("/proc/\(process)/fd/2")),
        ]
    }

    @Sendable private static func isGoodGuest(_ bench: Bench) throws(Finding) {
        let output = try CaughtOutput.during(bench) { () throws(Finding) in
            let (session, process) = try start(bench)
            let before = state(of: process)
            for _ in 0..<25 { try CallRound(bench, session).perform() }
            for _ in 0..<5 {
                let now = MonotonicTime.now.nanoseconds
                _ = try bench.finish(
                    session.begin(bench.mainRequest, deadline: now), bench.mainRequest, due: now)
            }
            let changed = zip(before, state(of: process)).filter { $0.value != $1.value }
            session.destroy()
            guard changed.isEmpty else {
                throw .failed(
                    expected: "the process as it was when the instance was made",
                    seen: changed.map(\.0.name).joined(separator: ", ") + " changed")
            }
        }
        guard output.isEmpty else {
            throw .failed(
                expected: "no output; there is rqd_host.log", seen: "\"\(output.prefix(200))\"")
        }
    }

    private struct Size {
        var descriptors: Int
        var threads: Int
        var children: Int
        var bytes: Int

        init(of process: String) {
            descriptors = ProcessFacts.count(in: "/proc/\(process)/fd")
            threads = ProcessFacts.count(in: "/proc/\(process)/task")
            children =
                ProcessFacts.text("/proc/\(process)/task/\(process)/children")?
                .split(separator: " ").count ?? 0
            let memory = ProcessFacts.statusLine("RssAnon", of: process)
            bytes = (Int(memory.filter(\.isNumber)) ?? 0) << 10
        }
    }

    @Sendable private static func doesNotGrow(_ bench: Bench) throws(Finding) {
        let (session, process) = try start(bench)
        let round = CallRound(bench, session)
        for _ in 0..<20 { try round.perform() }
        var growth = ""
        for _ in 0..<3 {
            let before = Size(of: process)
            for _ in 0..<rounds { try round.perform() }
            let after = Size(of: process)
            growth = [
                (after.descriptors - before.descriptors, 4, "descriptors"),
                (after.threads - before.threads, 4, "threads"),
                (after.children - before.children, 0, "children"),
                (after.bytes - before.bytes, max(rounds * toleratedBytes, 64 << 10), "bytes"),
            ].filter { $0.0 > $0.1 }.map { "\($0.0) \($0.2)" }.joined(separator: ", ")
            if growth.isEmpty { break }
        }
        session.destroy()
        guard growth.isEmpty else {
            throw .failed(
                expected: "a process that does not grow by calls",
                seen: "\(growth) after \(rounds) rounds of all calls, three times")
        }
    }
}
