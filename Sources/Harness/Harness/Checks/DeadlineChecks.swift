import Glibc
import HarnessBackends
import PluginABI
import Synchronization
import Threads
import Time

/// Time, and being given up.
enum DeadlineChecks {
    static let all: [Check] = [
        Check(
            "deadlines.silence", "Calls end in time when the server never answers.",
            rule: Rule.time, needs: .fakeServer, endsInSilence),
        Check(
            "deadlines.dribble", "Calls end in time when the answer comes byte by byte.",
            rule: Rule.time, needs: .fakeServer, endsInDribble),
        Check(
            "deadlines.past", "A call whose deadline is over ends at once.", rule: Rule.time,
            endsWhenOver),
        Check(
            "deadlines.cancel", "A call that is given up ends within a second.", rule: Rule.time,
            endsWhenCancelled),
        Check(
            "deadlines.cancelled-before", "So does one that was given up before it began.",
            rule: Rule.time, endsWhenCancelledBefore),
        Check(
            "deadlines.descriptor", "The cancel descriptor is neither read nor closed.",
            rule: Rule.header("rqd_call"), needs: .direct, leavesDescriptor),
        Check(
            "deadlines.status", "What was not answered in time is not OK.", rule: Rule.status,
            needs: .fakeServer, admitsTimeout),
        Check(
            "deadlines.given-up",
            "What was given up before an answer came is not OK, then or later.",
            rule: Rule.status, needs: .fakeServer, answersNoMore),
    ]

    /// Every call that may do IO; what they expect is real, so that they have to ask.
    private static func requests(
        _ bench: Bench, _ session: any Session
    ) throws(Finding) -> [Request] {
        guard bench.role == RQD_ROLE_REGISTRY else { return [.resolve] }
        let made = try bench.call(session, .write("leader", expected: [], value: [1]))
        guard let revision = made.record?.revision else {
            throw .skipped("nothing can be written, see registry.create: \(made.outline)")
        }
        return [
            .read("leader"), .write("other", expected: [], value: [1]),
            .write("leader", expected: revision, value: [2]),
            .erase("leader", expected: revision), .list("nodes/"),
        ]
    }

    private static func judge(
        _ milliseconds: Int, _ what: String, _ request: Request
    ) throws(Finding) {
        let expected = "\(request.name) returns within 1 s of \(what)"
        let second = 1000 * Int(Bench.slowness.load(ordering: .relaxed))
        guard milliseconds <= 2 * second else {
            throw .late(.failed, expected: expected, seen: "after \(milliseconds) ms")
        }
        guard milliseconds <= second else {
            throw .late(.warning, expected: expected, seen: "after \(milliseconds) ms")
        }
    }

    private static func endsInTime(_ bench: Bench, _ fault: Fault) throws(Finding) {
        let session = try bench.instance()
        let requests = try Self.requests(bench, session)
        try bench.fake().misbehave(fault)
        for request in requests {
            let deadline = MonotonicTime.now.nanoseconds + 300_000_000
            let pending = session.begin(request, deadline: deadline)
            let report = try bench.finish(pending, request, due: deadline)
            let late = report.ended > deadline ? Int((report.ended - deadline) / 1_000_000) : 0
            try judge(late, "its deadline", request)
        }
        session.destroy()
    }

    @Sendable private static func endsInSilence(_ bench: Bench) throws(Finding) {
        try endsInTime(bench, .silent)
    }

    @Sendable private static func endsInDribble(_ bench: Bench) throws(Finding) {
        try endsInTime(bench, .dribble)
    }

    @Sendable private static func endsWhenOver(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        try bench.fakeServer?.misbehave(.silent)
        let start = MonotonicTime.now.nanoseconds
        let pending = session.begin(bench.mainRequest, deadline: 1)
        let report = try bench.finish(pending, bench.mainRequest, due: start)
        session.destroy()
        try judge(Int((report.ended - start) / 1_000_000), "its deadline", bench.mainRequest)
    }

    @Sendable private static func endsWhenCancelled(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        let requests = try Self.requests(bench, session)
        try bench.fakeServer?.misbehave(.silent)
        for request in requests {
            let pending = session.begin(
                request, deadline: MonotonicTime.now.nanoseconds + 60 * Bench.second)
            // It should be waiting for the server by then.
            if pending.wait(until: MonotonicTime.now.nanoseconds + 200_000_000) != nil { continue }
            let cancelled = MonotonicTime.now.nanoseconds
            pending.cancel()
            guard
                let report = pending.wait(until: cancelled + Bench.grace * Bench.second)
            else {
                throw .late(
                    .failed, expected: "\(request.name) returns within 1 s of being given up",
                    seen: "it was not back after two, when the host abandons the instance")
            }
            try judge(Int((report.ended - cancelled) / 1_000_000), "being given up", request)
        }
        session.destroy()
    }

    @Sendable private static func endsWhenCancelledBefore(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        try bench.fakeServer?.misbehave(.silent)
        let start = MonotonicTime.now.nanoseconds
        let pending = session.begin(bench.mainRequest, deadline: start + 60 * Bench.second)
        pending.cancel()
        guard let report = pending.wait(until: start + (Bench.grace + 1) * Bench.second) else {
            throw .late(
                .failed,
                expected: "\(bench.mainRequest.name) sees that it was given up from the start",
                seen: "it was not back after \(Bench.grace + 1) s")
        }
        session.destroy()
        try judge(
            Int((report.ended - start) / 1_000_000), "being given up", bench.mainRequest)
    }

    @Sendable private static func leavesDescriptor(_ bench: Bench) throws(Finding) {
        let session = try bench.directInstance()
        try bench.fakeServer?.misbehave(.silent)
        let deadline = MonotonicTime.now.nanoseconds + 10 * Bench.second
        let pending = session.start(bench.mainRequest, deadline)
        _ = pending.wait(until: MonotonicTime.now.nanoseconds + 100_000_000)
        pending.cancel()
        _ = try bench.finish(
            pending, bench.mainRequest, due: MonotonicTime.now.nanoseconds + Bench.second)
        session.destroy()
        var descriptor = pollfd(
            fd: pending.recorder.cancelDescriptor, events: Int16(POLLIN), revents: 0)
        let count = poll(&descriptor, 1, 0)
        guard count == 1, descriptor.revents == Int16(POLLIN) else {
            throw .failed(
                expected: "a cancel descriptor that is still readable",
                seen: descriptor.revents & Int16(POLLNVAL) != 0 ? "it is closed" : "it was read")
        }
    }

    @Sendable private static func admitsTimeout(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        let requests = try Self.requests(bench, session)
        try bench.fake().misbehave(.silent)
        for request in requests {
            let deadline = MonotonicTime.now.nanoseconds + 300_000_000
            let report = try bench.finish(
                session.begin(request, deadline: deadline), request, due: deadline)
            guard ![RQD_OK, RQD_ABSENT, RQD_CONFLICT].contains(report.status) else {
                throw .failed(
                    expected: "a failure of \(request.name), for the server never answered",
                    seen: report.outline)
            }
        }
        session.destroy()
    }

    @Sendable private static func answersNoMore(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        let requests = try Self.requests(bench, session)
        let server = try bench.fake()
        for request in requests {
            try server.misbehave(.silent)
            let pending = session.begin(
                request, deadline: MonotonicTime.now.nanoseconds + 60 * Bench.second)
            // It should be waiting for the server by then.
            if pending.wait(until: MonotonicTime.now.nanoseconds + 100_000_000) != nil { continue }
            pending.cancel()
            let report = try bench.finish(
                pending, request, due: MonotonicTime.now.nanoseconds + Bench.second)
            guard ![RQD_OK, RQD_ABSENT, RQD_CONFLICT].contains(report.status) else {
                throw .failed(
                    expected: "a failure of \(request.name), for it was given up unanswered",
                    seen: report.outline)
            }
            // What a thread of the plugin's still does when the server answers again.
            try server.misbehave(.none)
            CurrentThread.pause(milliseconds: 100)
            guard let stray = (pending as? DirectCall)?.recorder.results.strayUses.first else {
                continue
            }
            throw .failed(
                expected: "nothing of \(request.name) once it was given up and is back",
                seen: stray)
        }
        session.destroy()
    }
}
