import HarnessBackends
import JSON
import PluginABI

/// Describing an instance. For plugins that offer it.
enum StatusChecks {
    static let all: [Check] = [
        Check(
            "status.object", "The description is one JSON object of up to 16 KiB.",
            rule: Rule.describe, needs: .direct, describesAsObject),
        Check(
            "status.prompt", "It is there at once, also while the server is silent.",
            rule: Rule.describe, needs: [.direct, .fakeServer], describesAtOnce),
    ]

    private static func ready(_ bench: Bench) throws(Finding) -> any Session {
        let session = try bench.instance()
        guard session.offers(.describe) else {
            session.destroy()
            throw .skipped("the plugin does not offer rqd.status/1")
        }
        return session
    }

    @Sendable private static func describesAsObject(_ bench: Bench) throws(Finding) {
        let session = try ready(bench)
        var reports = [try bench.call(session, .describe)]
        _ = try bench.call(session, bench.mainRequest)
        reports.append(try bench.call(session, .describe))
        session.destroy()
        for report in reports {
            let wrong = report.results.overLimit + report.results.malformed
            guard report.status == RQD_OK, wrong.isEmpty, let text = report.results.text else {
                throw .failed(
                    expected: "OK and a text from describe",
                    seen: report.outline + wrong.map { "; it gave \($0)" }.joined())
            }
            let value: JSONValue
            do {
                value = try JSONValue(parsing: text)
            } catch {
                throw .failed(expected: "a description in JSON", seen: "\(error)")
            }
            guard value.members != nil else {
                throw .failed(
                    expected: "a description that is one JSON object",
                    seen: String(decoding: text.prefix(80), as: UTF8.self))
            }
        }
    }

    @Sendable private static func describesAtOnce(_ bench: Bench) throws(Finding) {
        let session = try ready(bench)
        _ = try bench.call(session, bench.mainRequest)
        try bench.fake().misbehave(.silent)
        let before = try bench.fake().requestCount()
        let report = try bench.call(session, .describe)
        let milliseconds = (report.ended - report.started) / 1_000_000
        session.destroy()
        let count = try bench.fake().requestCount() - before
        guard count == 0, milliseconds < 500 else {
            throw .failed(
                expected: "describe returns at once and asks no server",
                seen: "\(milliseconds) ms, \(count) requests")
        }
    }
}
