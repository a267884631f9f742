import HarnessBackends
import PluginABI
import Threads
import Time

/// Making and ending instances.
enum LifecycleChecks {
    static let all: [Check] = [
        Check("lifecycle.create", "An instance can be made.", rule: Rule.create, isMade),
        Check(
            "lifecycle.unused", "One that was never called can be destroyed.",
            rule: Rule.lifecycle, isDestroyedUnused),
        Check(
            "lifecycle.again", "create works again after destroy, a hundred times.",
            rule: Rule.lifecycle, timeout: 60, isMadeAgain),
        Check(
            "lifecycle.several", "Eight instances live side by side.", rule: Rule.lifecycle,
            livesBesideOthers),
        Check(
            "lifecycle.brief", "destroy returns within a second.",
            rule: Rule.header("rqd_plugin.destroy"), endsSoon),
        Check(
            "lifecycle.refused", "A create that fails leaves nothing behind.", rule: Rule.create,
            needs: .direct, timeout: 60, leavesNothing),
        Check(
            "lifecycle.apart",
            "An instance with another configuration changes nothing for the first.",
            rule: Rule.lifecycle, staysApart),
    ]

    @Sendable private static func isMade(_ bench: Bench) throws(Finding) {
        guard bench.role != nil else { throw .skipped("the note names no such mode") }
        let creation = try bench.create()
        guard let session = creation.session else {
            throw .failed(
                expected: "OK (0) and an instance from the manifest's configuration",
                seen: creation.outline)
        }
        session.destroy()
    }

    @Sendable private static func isDestroyedUnused(_ bench: Bench) throws(Finding) {
        try bench.instance().destroy()
    }

    @Sendable private static func isMadeAgain(_ bench: Bench) throws(Finding) {
        try bench.instance().destroy()
        for round in 2...(bench.job.isIsolated ? 5 : 100) {
            let creation = try bench.create()
            guard let session = creation.session else {
                throw .failed(expected: "instance number \(round)", seen: creation.outline)
            }
            if round % 10 == 0 {
                let report = try bench.call(session, bench.mainRequest)
                guard report.status == RQD_OK || report.status == RQD_ABSENT else {
                    throw .failed(
                        expected: "instance number \(round) works", seen: report.outline)
                }
            }
            session.destroy()
        }
    }

    @Sendable private static func livesBesideOthers(_ bench: Bench) throws(Finding) {
        var sessions = [try bench.instance()]
        for number in 2...8 {
            let creation = try bench.create()
            guard let session = creation.session else {
                throw .failed(
                    expected: "instance \(number) beside \(number - 1) others",
                    seen: creation.outline)
            }
            sessions.append(session)
        }
        for (index, session) in sessions.enumerated() {
            let report = try bench.call(session, bench.mainRequest)
            guard report.status == RQD_OK || report.status == RQD_ABSENT else {
                throw .failed(
                    expected: "instance \(index + 1) of 8 works", seen: report.outline)
            }
            // The others go on without it.
            session.destroy()
        }
    }

    @Sendable private static func endsSoon(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        _ = try bench.call(session, bench.mainRequest)
        let start = MonotonicTime.now.nanoseconds
        session.destroy()
        let milliseconds = (MonotonicTime.now.nanoseconds - start) / 1_000_000
        guard milliseconds <= Bench.grace * 1000 else {
            throw .late(
                .failed, expected: "destroy returns within 1 s", seen: "\(milliseconds) ms")
        }
        guard milliseconds <= Bench.grace * 500 else {
            throw .late(
                .warning, expected: "destroy returns within 1 s", seen: "\(milliseconds) ms")
        }
    }

    @Sendable private static func leavesNothing(_ bench: Bench) throws(Finding) {
        guard let example = bench.manifest.reject.first else {
            throw .skipped("the manifest has no configuration that is rejected")
        }
        let arguments = bench.arguments(config: bench.filled(example.config))
        let leak = try LeakMeter.measure { () throws(Finding) in
            let creation = try bench.create(arguments)
            creation.session?.destroy()
            guard creation.status != RQD_OK else {
                throw .skipped("it is accepted; see config.rejected")
            }
        }
        if let leak {
            throw .failed(expected: "a refusal leaves nothing behind", seen: leak)
        }
    }

    @Sendable private static func staysApart(_ bench: Bench) throws(Finding) {
        let configs = bench.manifest.accept.map { bench.filled($0.config) }
        guard let other = configs.first(where: { $0 != bench.config }) else {
            throw .skipped("the manifest's \"accept\" has no second configuration")
        }
        let first = try bench.instance()
        let before = try bench.working(first)
        guard let second = try bench.create(bench.arguments(config: other, key: "other")).session
        else {
            throw .skipped("the second configuration makes no instance, see config.accepted")
        }
        let after = try bench.call(first, bench.mainRequest)
        second.destroy()
        let last = try bench.call(first, bench.mainRequest)
        first.destroy()
        for report in [after, last]
        where report.status != before.status
            || report.results.addresses.map(\.text).sorted()
                != before.results.addresses.map(\.text).sorted()
        {
            throw .failed(
                expected: "the first instance answers as before: \(before.outline)",
                seen: report.outline)
        }
    }
}
