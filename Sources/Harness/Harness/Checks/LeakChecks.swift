import HarnessBackends
import PluginABI
import Threads
import Time

/// What is left behind: descriptors, threads and memory, by rounds of the same.
enum LeakChecks {
    static let all: [Check] = [
        Check(
            "leaks.instances", "Nothing is left of instances that were called and destroyed.",
            rule: Rule.lifecycle, needs: .direct, timeout: 90, ofInstances),
        Check(
            "leaks.calls", "An instance does not grow by being called, whatever it is asked.",
            rule: Rule.memory, needs: .direct, timeout: 90, ofCalls),
        Check(
            "leaks.failures", "An instance does not grow by calls that fail.", rule: Rule.memory,
            needs: .direct, timeout: 90, ofFailures),
        Check(
            "leaks.cancelled", "Nothing is left of calls that were given up.", rule: Rule.memory,
            needs: .direct, timeout: 90, ofCancelledCalls),
    ]

    /// On this thread, so that only the plugin makes others.
    private static func perform(_ session: DirectSession, _ request: Request) -> CallReport {
        let deadline = MonotonicTime.now.nanoseconds + Bench.patience * Bench.second
        return session.perform(request, CallRecorder(deadline: deadline))
    }

    @Sendable private static func ofInstances(_ bench: Bench) throws(Finding) {
        try bench.instance().destroy()
        let leak = try LeakMeter.measure { () throws(Finding) in
            let session = try bench.directInstance()
            _ = perform(session, bench.mainRequest)
            if session.offers(.describe) { _ = perform(session, .describe) }
            session.destroy()
        }
        if let leak { throw .failed(expected: "instances leave nothing behind", seen: leak) }
    }

    @Sendable private static func ofCalls(_ bench: Bench) throws(Finding) {
        let session = try bench.directInstance()
        defer { session.destroy() }
        _ = try bench.working(session)
        let leak = try LeakMeter.measure { () throws(Finding) in
            _ = perform(session, bench.mainRequest)
        }
        if let leak { throw .failed(expected: "calls leave nothing behind", seen: leak) }
        let round = CallRound(bench, session)
        let other = try LeakMeter.measure(rounds: 60) { () throws(Finding) in try round.perform() }
        if let other {
            throw .failed(expected: "no call leaves anything behind, of all there are", seen: other)
        }
    }

    @Sendable private static func ofFailures(_ bench: Bench) throws(Finding) {
        let session = try bench.directInstance()
        defer { session.destroy() }
        guard bench.fakeServer != nil else {
            // Those whose time is over.
            let leak = try LeakMeter.measure { () throws(Finding) in
                _ = session.perform(bench.mainRequest, CallRecorder(deadline: 1))
            }
            guard let leak else { return }
            throw .failed(expected: "failed calls leave nothing behind", seen: leak)
        }
        for fault in [Fault.reset, .truncated, .html] {
            try bench.fake().misbehave(fault)
            let leak = try LeakMeter.measure(rounds: 40) { () throws(Finding) in
                let deadline = MonotonicTime.now.nanoseconds + 50_000_000
                _ = session.perform(bench.mainRequest, CallRecorder(deadline: deadline))
            }
            if let leak {
                throw .failed(
                    expected: "failed calls leave nothing behind", seen: "\(leak) of \(fault)")
            }
        }
        try bench.fake().misbehave(.reset)
        let round = CallRound(bench, session, milliseconds: 50)
        let leak = try LeakMeter.measure(rounds: 20) { () throws(Finding) in try round.perform() }
        if let leak {
            throw .failed(
                expected: "no call that fails leaves anything, of all there are", seen: leak)
        }
    }

    @Sendable private static func ofCancelledCalls(_ bench: Bench) throws(Finding) {
        let session = try bench.directInstance()
        defer { session.destroy() }
        try bench.fakeServer?.misbehave(.silent)
        let leak = try LeakMeter.measure(rounds: 40) { () throws(Finding) in
            let recorder = CallRecorder(deadline: MonotonicTime.now.nanoseconds + 2 * Bench.second)
            recorder.cancel()
            _ = session.perform(bench.mainRequest, recorder)
        }
        if let leak {
            throw .failed(expected: "calls that were given up leave nothing", seen: leak)
        }
    }
}
