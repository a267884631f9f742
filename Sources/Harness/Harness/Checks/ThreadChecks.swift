import HarnessBackends
import PluginABI
import Threads
import Time

/// Who calls whom on which thread.
enum ThreadChecks {
    static let all: [Check] = [
        Check(
            "threads.any", "Calls may come from any thread, one after the other.",
            rule: Rule.threads, needs: .direct, takesAnyThread),
        Check(
            "threads.parallel", "Instances work in parallel.", rule: Rule.threads,
            timeout: 60, worksInParallel),
        Check(
            "threads.blocked", "Threads of the plugin block all signals.", rule: Rule.threads,
            needs: .direct, blocksSignals),
        Check(
            "threads.joined", "destroy joins the plugin's threads.", rule: Rule.threads,
            needs: .direct, joinsThreads),
        Check(
            "threads.sink", "The sink is used on the call's own thread, and only during the call.",
            rule: Rule.sink, needs: .direct, usesSinkOnItsThread),
    ]

    @Sendable private static func takesAnyThread(_ bench: Bench) throws(Finding) {
        // Made here; each call comes from a new thread, and so does destroy.
        let session = try bench.instance()
        for number in 1...10 {
            let report = try bench.call(session, bench.mainRequest)
            guard report.status == RQD_OK || report.status == RQD_ABSENT else {
                if number == 1 { throw .skipped("see calls.work: \(report.outline)") }
                throw .failed(
                    expected: "call \(number) works as the first did",
                    seen: report.outline)
            }
        }
        try OnThread.run { session.destroy() }
    }

    @Sendable private static func worksInParallel(_ bench: Bench) throws(Finding) {
        let request = bench.mainRequest
        let first = try bench.instance()
        let before = try bench.working(first)
        var sessions = [first]
        for _ in 1..<8 { sessions.append(try bench.instance()) }
        let all = sessions
        let rounds = bench.job.isIsolated ? 5 : 25
        try OnThread.all(all.count) { (index) throws(Finding) in
            for _ in 0..<rounds { try compare(all[index], request, before) }
        }
        for session in sessions { session.destroy() }
    }

    private static func compare(
        _ session: any Session, _ request: Request, _ before: CallReport
    ) throws(Finding) {
        let deadline = MonotonicTime.now.nanoseconds + Bench.patience * Bench.second
        let pending = session.begin(request, deadline: deadline)
        guard let report = pending.wait(until: deadline + Bench.grace * Bench.second) else {
            throw .failed(
                expected: "eight instances work at the same time",
                seen: "a call that did not come back")
        }
        let found = Set(report.results.addresses.map(\.text))
        guard report.status == before.status,
            found == Set(before.results.addresses.map(\.text))
        else {
            throw .failed(
                expected: "eight instances get what one gets, at the same time",
                seen: "\(report.outline) \(found.sorted())")
        }
    }

    /// Looks at new threads while a call runs, and between calls.
    @Sendable private static func blocksSignals(_ bench: Bench) throws(Finding) {
        let before = ProcessFacts.threads()
        let session = try bench.directInstance()
        // A thread is born with all signals blocked, whatever it does next.
        CurrentThread.pause(milliseconds: 20)
        try look(at: ProcessFacts.threads().subtracting(before))
        for request in [bench.mainRequest, .wait("leader", token: [])]
        where session.offers(request) {
            let deadline = MonotonicTime.now.nanoseconds + Bench.second / 2
            // Its thread is the host's own, and there until the call is over.
            let known = ProcessFacts.threads()
            let pending = session.start(request, deadline)
            var callThread: Int?
            while pending.wait(until: MonotonicTime.now.nanoseconds) == nil,
                MonotonicTime.now.nanoseconds < deadline + 2 * Bench.second
            {
                let fresh = ProcessFacts.threads().subtracting(known)
                callThread = callThread ?? fresh.min()
                try look(at: fresh.filter { $0 != callThread })
            }
        }
        session.destroy()
    }

    private static func look(at threads: Set<Int>) throws(Finding) {
        for thread in threads.sorted() {
            guard let open = ProcessFacts.openSignals(ofThread: thread), open != 0 else { continue }
            let names = (Int32(1)...64).filter { open & (1 << UInt64($0 - 1)) != 0 }
                .map(ProcessFacts.signalName)
            throw .failed(
                expected: "a thread of the plugin that blocks all signals",
                seen: "one that does not block \(names.prefix(6).joined(separator: ", "))"
                    + (names.count > 6 ? " and \(names.count - 6) more" : ""))
        }
    }

    @Sendable private static func joinsThreads(_ bench: Bench) throws(Finding) {
        let before = ProcessFacts.threads()
        let session = try bench.directInstance()
        _ = session.perform(
            bench.mainRequest,
            CallRecorder(deadline: MonotonicTime.now.nanoseconds + Bench.patience * Bench.second))
        session.destroy()
        // A joined thread may be listed for a moment.
        CurrentThread.pause(milliseconds: 20)
        let left = ProcessFacts.threads().subtracting(before)
        guard left.isEmpty else {
            throw .failed(
                expected: "no thread of the plugin after destroy", seen: "\(left.count)")
        }
    }

    @Sendable private static func usesSinkOnItsThread(_ bench: Bench) throws(Finding) {
        let session = try bench.directInstance()
        let pending = session.start(
            bench.mainRequest, MonotonicTime.now.nanoseconds + Bench.patience * Bench.second)
        _ = try bench.finish(
            pending, bench.mainRequest,
            due: MonotonicTime.now.nanoseconds + Bench.patience * Bench.second)
        // For what comes late.
        CurrentThread.pause(milliseconds: 100)
        session.destroy()
        let stray = pending.recorder.results.strayUses
        guard stray.isEmpty else {
            throw .failed(expected: "the sink is left alone by others", seen: stray[0])
        }
    }
}
