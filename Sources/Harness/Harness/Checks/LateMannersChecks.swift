import Glibc
import HarnessBackends
import PluginABI
import Threads
import Time

/// Being a guest in the process, where few look: on later calls, on failures, and at the end.
enum LateMannersChecks {
    static let all: [Check] = [
        Check(
            "manners.state",
            "Masks, limits, priority, floating point and standard descriptors stay.",
            rule: Rule.manners, needs: .direct, leavesState),
        Check(
            "manners.late", "So does everything on later calls, and on calls that fail.",
            rule: Rule.manners, needs: .direct, timeout: 90, staysGood),
        Check(
            "manners.exit", "The process can end as usual, by exit, after destroy.",
            rule: Rule.manners, needs: [.direct, .exit], endsAsUsual),
    ]

    /// Calls after which a plugin is past its beginnings.
    private static let rounds = 25
    private static let failures = 5

    /// On this thread, so that what a call does to it shows.
    private static func perform(
        _ session: DirectSession, _ request: Request, milliseconds: UInt64,
        isCancelled: Bool = false
    ) -> CallReport {
        let recorder = CallRecorder(
            deadline: max(MonotonicTime.now.nanoseconds + milliseconds * 1_000_000, 1))
        if isCancelled { recorder.cancel() }
        return session.perform(request, recorder)
    }

    @Sendable private static func leavesState(_ bench: Bench) throws(Finding) {
        let before = ProcessState.now()
        let session = try bench.directInstance()
        _ = perform(session, bench.mainRequest, milliseconds: 5000)
        if session.offers(.describe) { _ = perform(session, .describe, milliseconds: 1000) }
        session.destroy()
        try judge(before)
    }

    @Sendable private static func staysGood(_ bench: Bench) throws(Finding) {
        let output = try CaughtOutput.during(bench) { () throws(Finding) in
            let before = ProcessState.now()
            try liveLong(bench)
            try judge(before)
        }
        guard output.isEmpty else {
            throw .failed(
                expected: "no output, on later calls and failures either",
                seen: "\"\(output.prefix(200))\"")
        }
    }

    private static func liveLong(_ bench: Bench) throws(Finding) {
        let session = try bench.directInstance()
        let known = ProcessFacts.descriptors()
        for _ in 0..<rounds { _ = perform(session, bench.mainRequest, milliseconds: 5000) }
        for _ in 0..<rounds { try CallRound(bench, session).perform() }
        if let server = bench.fakeServer {
            for fault in [Fault.reset, .status(503), .html, .truncated, .silent] {
                try server.misbehave(fault)
                for _ in 0..<failures {
                    _ = perform(session, bench.mainRequest, milliseconds: 30)
                }
                try CallRound(bench, session, milliseconds: 30).perform()
            }
            try server.misbehave(.none)
        }
        for _ in 0..<failures {
            _ = perform(session, bench.mainRequest, milliseconds: 0)
            _ = perform(session, bench.mainRequest, milliseconds: 1000, isCancelled: true)
        }
        for descriptor in ProcessFacts.descriptors().subtracting(known).sorted()
        where !ProcessFacts.isCloseOnExec(descriptor) {
            throw .failed(
                expected: "descriptors with FD_CLOEXEC",
                seen: ProcessFacts.target(of: descriptor) + " is without, after failures")
        }
        session.destroy()
        for example in bench.manifest.reject {
            let arguments = bench.arguments(config: bench.filled(example.config))
            try bench.create(arguments).session?.destroy()
        }
    }

    private static func judge(_ before: ProcessState) throws(Finding) {
        if let changes = ProcessState.now().changes(since: before) {
            throw .failed(expected: "the process as it was", seen: changes)
        }
    }

    /// The rest is seen by whoever waits for this process: it exits as the host does.
    @Sendable private static func endsAsUsual(_ bench: Bench) throws(Finding) {
        let session = try bench.directInstance()
        _ = perform(session, bench.mainRequest, milliseconds: 5000)
        session.destroy()
    }
}
