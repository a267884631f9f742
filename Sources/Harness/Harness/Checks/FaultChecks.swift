import HarnessBackends
import PluginABI
import Threads
import Time

/// A server that misbehaves. The plugin must neither believe it nor suffer from it.
enum FaultChecks {
    static let all: [Check] =
        [
            fault("down", "A server that is down is no answer.") { (server) throws(Finding) in
                try server.goDown()
            },
            fault("reset", "A connection that breaks is no answer.", .reset),
            fault("status", "An error of the server is no answer.", .status(500)),
            fault("html", "A page of HTML is no answer.", .html),
            Check(
                "faults.proxy", "A 404 or 403 that is not the server's own is no absence.",
                rule: Rule.status, needs: .fakeServer, distrustsProxies),
            fault("garbage", "Bytes that make no sense are no answer.", .garbage),
            fault("truncated", "Half an answer is none.", .truncated),
        ] + [
            Check(
                "faults.giant", "An answer without end costs neither time nor memory.",
                rule: Rule.limits, needs: .fakeServer, survivesGiant),
            Check(
                "faults.recovery", "An instance works again as soon as the server does.",
                rule: Rule.status, needs: .fakeServer, timeout: 60, recovers),
            Check(
                "faults.restart", "An instance works on after the server was restarted.",
                rule: Rule.status, needs: .fakeServer, survivesRestart),
            Check(
                "faults.storm", "A server that fails is not stormed with requests.",
                rule: Rule.status, needs: .fakeServer, doesNotStorm),
        ]

    static let noProxies = "DNS has no such proxies"

    private static func fault(_ name: String, _ summary: String, _ fault: Fault) -> Check {
        self.fault(name, summary) { (server) throws(Finding) in
            // What is an error to one kind of server has another number for the other.
            let isNamed = try server.url().hasPrefix("dns:")
            try server.misbehave(fault == .status(500) && isNamed ? .status(2) : fault)
        }
    }

    private static func fault(
        _ name: String, _ summary: String,
        _ begin: @escaping @Sendable (ServerControl) throws(Finding) -> Void
    ) -> Check {
        Check("faults.\(name)", summary, rule: Rule.status, needs: .fakeServer) {
            (bench) throws(Finding) in
            let session = try bench.instance()
            let server = try bench.fake()
            _ = try bench.working(session)
            try begin(server)
            try demandFailure(bench, session)
            if bench.role == RQD_ROLE_REGISTRY {
                // Of a record that is not there, and of one that is.
                try server.comeUp()
                try server.misbehave(.none)
                _ = try bench.call(
                    session, .write("leader", expected: [], value: Array("{\"a\":1}".utf8)))
                try begin(server)
                try demandFailure(bench, session)
                try demandFailure(bench, session, .list(""))
            }
            session.destroy()
        }
    }

    private static func demandFailure(
        _ bench: Bench, _ session: any Session, _ request: Request? = nil
    ) throws(Finding) {
        let report = try bench.call(session, request ?? bench.mainRequest, seconds: 1)
        guard report.status != RQD_OK, report.status != RQD_ABSENT else {
            let found = report.results.addresses.map(\.text)
            throw .failed(
                expected: "a failure of \(report.request.name)",
                seen: "\(report.outline) with \(found.prefix(4))")
        }
        guard ![RQD_CONFIG, RQD_UNSUPPORTED].contains(report.status) else {
            throw .failed(
                expected: "a failure after which the host tries again",
                seen: "\(report.outline), which is final")
        }
    }

    /// What stands between plugin and server answers in its place, as a proxy that knows no such
    /// path, or lets nobody through.
    @Sendable private static func distrustsProxies(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        let server = try bench.fake()
        guard try !server.url().hasPrefix("dns:") else { throw .skipped(noProxies) }
        _ = try bench.working(session)
        for status in [404, 403, 410, 204] {
            try server.misbehave(.status(status))
            try demandFailure(bench, session)
            guard bench.role == RQD_ROLE_REGISTRY else { continue }
            let list = try bench.call(session, .list(""), seconds: 1)
            guard list.status != RQD_OK else {
                throw .failed(
                    expected: "a failure of list for a strange answer \(status)",
                    seen: list.outline)
            }
        }
        session.destroy()
    }

    /// Bytes that an answer without end may cost.
    private static let toleratedMemory = 64 << 20

    @Sendable private static func survivesGiant(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        _ = try bench.working(session)
        let before = ProcessFacts.peakMemory()
        try bench.fake().misbehave(.giant)
        let deadline = MonotonicTime.now.nanoseconds + 2 * Bench.second
        let report = try bench.finish(
            session.begin(bench.mainRequest, deadline: deadline), bench.mainRequest, due: deadline)
        session.destroy()
        let growth = ProcessFacts.peakMemory() - before
        guard growth <= toleratedMemory else {
            throw .failed(
                expected: "at most \(toleratedMemory >> 20) MiB of memory for an answer",
                seen: "\(growth >> 20) MiB")
        }
        if let excess = report.results.overLimit.first {
            throw .failed(expected: "results within the limits", seen: excess)
        }
    }

    @Sendable private static func recovers(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        let server = try bench.fake()
        let first = try bench.working(session)
        for fault in [Fault.reset, .status(503), .html, .garbage, .truncated, .silent, .dribble] {
            try server.misbehave(fault)
            _ = try bench.finish(
                session.begin(
                    bench.mainRequest, deadline: MonotonicTime.now.nanoseconds + Bench.second / 2),
                bench.mainRequest, due: MonotonicTime.now.nanoseconds + Bench.second / 2)
            try server.misbehave(.none)
            let report = try bench.call(session, bench.mainRequest)
            guard report.status == first.status else {
                throw .failed(
                    expected: "the call after \(fault) returns \(StatusName.of(first.status))",
                    seen: report.outline)
            }
        }
        session.destroy()
    }

    @Sendable private static func survivesRestart(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        let server = try bench.fake()
        let first = try bench.working(session)
        for _ in 1...3 {
            try server.goDown()
            try server.comeUp()
            // One failure is allowed: the connection that was kept may be found dead only by use.
            var report = try bench.call(session, bench.mainRequest)
            if report.status != first.status {
                report = try bench.call(session, bench.mainRequest)
            }
            guard report.status == first.status else {
                throw .failed(
                    expected: "the second call after a restart returns "
                        + StatusName.of(first.status),
                    seen: report.outline)
            }
        }
        session.destroy()
    }

    /// Requests of one call of a second that are still no storm.
    private static let toleratedRequests = 50

    @Sendable private static func doesNotStorm(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        let server = try bench.fake()
        _ = try bench.working(session)
        for fault in [Fault.reset, .status(503), .html] {
            try server.misbehave(fault)
            let before = try server.requestCount()
            _ = try bench.call(session, bench.mainRequest, seconds: 1)
            let count = try server.requestCount() - before
            guard count <= toleratedRequests else {
                throw .failed(
                    expected: "at most \(toleratedRequests) requests in a call of 1 s",
                    seen: "\(count) at \(fault)")
            }
        }
        session.destroy()
    }
}
