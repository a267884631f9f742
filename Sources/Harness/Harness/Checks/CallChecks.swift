import HarnessBackends
import PluginABI

/// Results and errors of calls.
enum CallChecks {
    static let all: [Check] = [
        Check(
            "calls.work", "The call that its role is for works.",
            rule: Rule.header("Interfaces of an instance"), work),
        Check(
            "calls.repeated", "Fifty calls in a row all work.",
            rule: Rule.header("Interfaces of an instance"), canBeRepeated),
        Check(
            "calls.limits", "Results stay within the limits.", rule: Rule.limits, staysInLimits),
        Check(
            "calls.results", "Results are well-formed, and of the kinds the call has.",
            rule: Rule.sink, areWellFormed),
        Check(
            "calls.status", "Every status is one the call may return.", rule: Rule.status,
            returnsKnownStatus),
        Check(
            "calls.message", "A failure comes with a message in UTF-8.", rule: Rule.status,
            needs: .fakeServer, explains),
        Check(
            "calls.server", "The message of a failure names the server that was asked.",
            rule: Rule.status, needs: .fakeServer, namesServer),
    ]

    @Sendable private static func work(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        let report = try bench.call(session, bench.mainRequest)
        session.destroy()
        guard report.status == RQD_OK || report.status == RQD_ABSENT else {
            throw .failed(expected: "\(report.request.name) works", seen: report.outline)
        }
    }

    @Sendable private static func canBeRepeated(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        let first = try bench.working(session)
        for number in 2...50 {
            let report = try bench.call(session, bench.mainRequest)
            guard report.status == first.status else {
                throw .failed(
                    expected: "call \(number) returns \(StatusName.of(first.status)) as the first",
                    seen: report.outline)
            }
        }
        session.destroy()
    }

    /// One of each call that the role has, those that fail included.
    private static func samples(_ bench: Bench) throws(Finding) -> [CallReport] {
        let session = try bench.instance()
        var reports = [try bench.call(session, bench.mainRequest)]
        if bench.role == RQD_ROLE_REGISTRY {
            let value = [UInt8]("value".utf8)
            let written = try bench.call(session, .write("sample", expected: [], value: value))
            let revision = written.record?.revision ?? []
            reports += [
                written, try bench.call(session, .read("sample")),
                try bench.call(session, .write("sample", expected: [], value: value)),
                try bench.call(session, .list("s")), try bench.call(session, .list("none/")),
                try bench.call(session, .erase("sample", expected: revision)),
                try bench.call(session, .erase("sample", expected: revision)),
            ]
        }
        if session.offers(.describe) { reports.append(try bench.call(session, .describe)) }
        session.destroy()
        return reports
    }

    @Sendable private static func staysInLimits(_ bench: Bench) throws(Finding) {
        for report in try samples(bench) {
            guard let excess = report.results.overLimit.first else { continue }
            throw .failed(
                expected: "what \(report.request.name) gives is within the limits", seen: excess)
        }
    }

    @Sendable private static func areWellFormed(_ bench: Bench) throws(Finding) {
        for report in try samples(bench) {
            if let wrong = report.results.malformed.first {
                throw .failed(
                    expected: "what \(report.request.name) gives is well-formed", seen: wrong)
            }
            let (allowed, results) = (kinds(report.request), report.results)
            let found =
                (results.addresses.isEmpty ? [] : ["addresses"])
                + (results.records.isEmpty ? [] : ["records"])
                + (results.token == nil ? [] : ["a token"])
                + (results.text == nil ? [] : ["a text"])
            guard let stray = found.first(where: { !allowed.contains($0) }) else { continue }
            throw .failed(
                expected: "of \(report.request.name): \(allowed.joined(separator: ", "))",
                seen: stray)
        }
    }

    private static func kinds(_ request: Request) -> [String] {
        switch request {
        case .resolve: ["addresses", "a token"]
        case .read: ["records", "a token"]
        case .write, .list: ["records"]
        case .erase: []
        case .wait: ["a token"]
        case .describe: ["a text"]
        case .page: ["a record"]
        case .update: []
        }
    }

    @Sendable private static func returnsKnownStatus(_ bench: Bench) throws(Finding) {
        for report in try samples(bench) {
            let isAllowed =
                switch (report.status, report.request) {
                case (RQD_ABSENT, .read), (RQD_ABSENT, .write), (RQD_ABSENT, .erase),
                    (RQD_CONFLICT, .write), (RQD_CONFLICT, .erase):
                    true
                case (RQD_ABSENT, _), (RQD_CONFLICT, _), (RQD_CONFIG, _): false
                default: StatusName.isKnown(report.status)
                }
            guard isAllowed else {
                throw .failed(
                    expected: "a status that \(report.request.name) may return",
                    seen: StatusName.of(report.status))
            }
        }
    }

    private static func failure(_ bench: Bench) throws(Finding) -> CallReport {
        let session = try bench.instance()
        try bench.fake().goDown()
        let report = try bench.call(session, bench.mainRequest, seconds: 2)
        session.destroy()
        guard report.status != RQD_OK, report.status != RQD_ABSENT else {
            throw .skipped("it does not fail; see faults.down")
        }
        return report
    }

    @Sendable private static func explains(_ bench: Bench) throws(Finding) {
        let report = try failure(bench)
        guard let message = report.results.message, CallResults.isText(message), !message.isEmpty
        else {
            throw .failed(
                expected: "a message beside \(StatusName.of(report.status))",
                seen: report.results.message == nil ? "none" : "\(report.results.message ?? [])")
        }
    }

    @Sendable private static func namesServer(_ bench: Bench) throws(Finding) {
        let report = try failure(bench)
        guard report.results.message != nil else { throw .skipped("see calls.message") }
        guard report.results.messageText.contains(bench.server) else {
            throw .failed(
                expected: "a message that names \(bench.server), for operators",
                seen: report.results.messageText)
        }
    }
}
