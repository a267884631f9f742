import HarnessBackends
import PluginABI
import Threads
import Time

/// Waiting for a change. For plugins that offer it.
enum WatchChecks {
    static let all: [Check] = [
        Check(
            "watch.empty-token", "An empty token stands for no state: wait returns at once.",
            rule: Rule.watch, returnsAtOnce),
        Check(
            "watch.quiet", "Without a change wait ends with TIMEOUT at its deadline.",
            rule: Rule.watch, keepsQuiet),
        Check(
            "watch.change", "A change is noticed within a second.", rule: Rule.watch,
            noticesChange),
        Check(
            "watch.between", "So is one that came between the token and the wait.",
            rule: Rule.watch, noticesEarlierChange),
        Check(
            "watch.absence", "That a record appears or vanishes is a change.",
            rule: Rule.watch, needs: .registry, noticesAbsence),
        Check(
            "watch.cancel", "A wait that is given up ends within a second.", rule: Rule.time,
            endsWhenCancelled),
        Check(
            "watch.beside", "Another call works while a wait is on.", rule: Rule.threads,
            letsOthersWork),
        Check(
            "watch.restart", "A wait survives a restart of the server, or fails; it does not spin.",
            rule: Rule.watch, needs: .fakeServer, survivesRestart),
    ]

    /// An instance, the state's name, and its token.
    private struct Watcher {
        let bench: Bench
        let session: any Session
        let name: String
        var token: [UInt8]

        init(_ bench: Bench) throws(Finding) {
            self.bench = bench
            session = try bench.instance()
            try bench.offersWatch(session)
            name = bench.role == RQD_ROLE_REGISTRY ? "leader" : ""
            token = []
            try refresh()
        }

        mutating func refresh() throws(Finding) {
            let report = try bench.working(session)
            guard let token = report.results.token, !token.isEmpty else {
                throw .skipped("\(report.request.name) gave no token to wait with")
            }
            self.token = token
        }

        func begin(milliseconds: UInt64) -> any PendingCall {
            session.begin(
                .wait(name, token: token),
                deadline: MonotonicTime.now.nanoseconds + milliseconds * 1_000_000)
        }

        /// By another instance, or as the manifest says.
        func change(_ value: String) throws(Finding) {
            guard bench.role == RQD_ROLE_REGISTRY else {
                guard try bench.change() else {
                    throw .skipped("the manifest says nothing of how to change what it finds")
                }
                return
            }
            let client = try RegistryChecks.Client(bench)
            let revision = try client.read(name).record?.revision ?? []
            let report = try client.write(name, Array(value.utf8), revision)
            client.end()
            guard report.status == RQD_OK else {
                throw .skipped("nothing can be written: \(report.outline)")
            }
        }

        func clean() throws(Finding) {
            if bench.role == RQD_ROLE_REGISTRY,
                let record = try bench.call(session, .read(name)).record
            {
                _ = try bench.call(session, .erase(name, expected: record.revision))
            }
            session.destroy()
        }
    }

    /// Milliseconds within which a change must be noticed; the header says soon, the host needs it
    /// within a second.
    private static var notice: UInt64 { Bench.grace * 1000 }

    private static func demandNotice(
        _ pending: any PendingCall, since start: UInt64, _ what: String
    ) throws(Finding) {
        guard let report = pending.wait(until: start + notice * 1_000_000) else {
            throw .late(
                .failed, expected: "wait returns OK within 1 s of \(what)",
                seen: "nothing within \(notice) ms")
        }
        guard report.status == RQD_OK else {
            throw .failed(expected: "wait returns OK after \(what)", seen: report.outline)
        }
        let milliseconds = Int(max(report.ended, start) - start) / 1_000_000
        guard milliseconds <= Int(notice / 2) else {
            throw .late(
                .warning, expected: "wait returns within 1 s of \(what)",
                seen: "after \(milliseconds) ms")
        }
    }

    @Sendable private static func returnsAtOnce(_ bench: Bench) throws(Finding) {
        var watcher = try Watcher(bench)
        watcher.token = []
        let start = MonotonicTime.now.nanoseconds
        try demandNotice(watcher.begin(milliseconds: 5000), since: start, "an empty token")
        try watcher.clean()
    }

    @Sendable private static func keepsQuiet(_ bench: Bench) throws(Finding) {
        let watcher = try Watcher(bench)
        var early = 0
        for _ in 0..<3 {
            let deadline = MonotonicTime.now.nanoseconds + 400_000_000
            let request = Request.wait(watcher.name, token: watcher.token)
            let report = try bench.finish(
                watcher.session.begin(request, deadline: deadline), request, due: deadline)
            switch report.status {
            case RQD_TIMEOUT:
                guard report.ended < deadline + Bench.grace * Bench.second else {
                    throw .late(
                        .failed, expected: "TIMEOUT within 2 s of the deadline",
                        seen: "after \((report.ended - deadline) / 1_000_000) ms")
                }
            case RQD_OK: early += 1
            default:
                throw .failed(expected: "TIMEOUT (6) when nothing changes", seen: report.outline)
            }
        }
        try watcher.clean()
        guard early < 3 else {
            throw .failed(
                expected: "a wait without a change does not return OK as a habit",
                seen: "three of three did")
        }
    }

    @Sendable private static func noticesChange(_ bench: Bench) throws(Finding) {
        let watcher = try Watcher(bench)
        let pending = watcher.begin(milliseconds: 20_000)
        // It should be waiting by then; a change that comes earlier is as good.
        _ = pending.wait(until: MonotonicTime.now.nanoseconds + 200_000_000)
        let start = MonotonicTime.now.nanoseconds
        try watcher.change("changed")
        try demandNotice(pending, since: start, "the change")
        try watcher.clean()
    }

    @Sendable private static func noticesEarlierChange(_ bench: Bench) throws(Finding) {
        let watcher = try Watcher(bench)
        try watcher.change("changed before")
        let start = MonotonicTime.now.nanoseconds
        try demandNotice(
            watcher.begin(milliseconds: 20_000), since: start, "a change before the wait")
        try watcher.clean()
    }

    @Sendable private static func noticesAbsence(_ bench: Bench) throws(Finding) {
        var watcher = try Watcher(bench)
        let client = try RegistryChecks.Client(bench)
        var pending = watcher.begin(milliseconds: 20_000)
        _ = pending.wait(until: MonotonicTime.now.nanoseconds + 200_000_000)
        var start = MonotonicTime.now.nanoseconds
        let revision = try client.make(watcher.name, Array("new".utf8))
        try demandNotice(pending, since: start, "the record's appearance")
        try watcher.refresh()
        pending = watcher.begin(milliseconds: 20_000)
        _ = pending.wait(until: MonotonicTime.now.nanoseconds + 200_000_000)
        start = MonotonicTime.now.nanoseconds
        _ = try client.erase(watcher.name, revision)
        try demandNotice(pending, since: start, "the record's end")
        client.end()
        try watcher.clean()
    }

    @Sendable private static func endsWhenCancelled(_ bench: Bench) throws(Finding) {
        let watcher = try Watcher(bench)
        let pending = watcher.begin(milliseconds: 60_000)
        if pending.wait(until: MonotonicTime.now.nanoseconds + 200_000_000) == nil {
            let start = MonotonicTime.now.nanoseconds
            pending.cancel()
            guard let report = pending.wait(until: start + Bench.grace * Bench.second) else {
                throw .late(
                    .failed, expected: "wait returns within 1 s of being given up",
                    seen: "it was not back after two")
            }
            guard report.ended < start + Bench.grace * Bench.second / 2 else {
                throw .late(
                    .warning, expected: "wait returns within 1 s of being given up",
                    seen: "after \((report.ended - start) / 1_000_000) ms")
            }
        }
        try watcher.clean()
    }

    @Sendable private static func letsOthersWork(_ bench: Bench) throws(Finding) {
        let watcher = try Watcher(bench)
        let pending = watcher.begin(milliseconds: 4000)
        _ = pending.wait(until: MonotonicTime.now.nanoseconds + 100_000_000)
        for _ in 0..<5 {
            let start = MonotonicTime.now.nanoseconds
            let report = try bench.call(watcher.session, bench.mainRequest)
            let milliseconds = (report.ended - start) / 1_000_000
            let expected = "\(report.request.name) works beside a wait"
            guard report.status == RQD_OK || report.status == RQD_ABSENT else {
                throw .failed(expected: expected, seen: report.outline)
            }
            guard milliseconds < notice else {
                throw .late(.failed, expected: expected, seen: "after \(milliseconds) ms")
            }
        }
        pending.cancel()
        _ = pending.wait(until: MonotonicTime.now.nanoseconds + Bench.grace * Bench.second)
        try watcher.clean()
    }

    @Sendable private static func survivesRestart(_ bench: Bench) throws(Finding) {
        let watcher = try Watcher(bench)
        let server = try bench.fake()
        let deadline = MonotonicTime.now.nanoseconds + 3 * Bench.second / 2
        let pending = watcher.begin(milliseconds: 1500)
        _ = pending.wait(until: MonotonicTime.now.nanoseconds + 200_000_000)
        let before = try server.requestCount()
        try server.goDown()
        CurrentThread.pause(milliseconds: 100)
        try server.comeUp()
        let request = Request.wait(watcher.name, token: watcher.token)
        let report = try bench.finish(
            pending, request, due: MonotonicTime.now.nanoseconds + 1_500_000_000)
        // The host would begin the next at once.
        guard report.status != RQD_TIMEOUT || report.ended + Bench.second / 2 > deadline else {
            throw .failed(
                expected:
                    "a failure of a wait that the server broke off, or TIMEOUT (6) at its deadline",
                seen: "TIMEOUT \((deadline - report.ended) / 1_000_000) ms before it")
        }
        let count = try server.requestCount() - before
        guard count <= 50 else {
            throw .failed(expected: "a wait that does not spin", seen: "\(count) requests")
        }
        try watcher.clean()
    }
}
