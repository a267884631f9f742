import CHarness
import Glibc
import HarnessBackends
import PluginABI
import Threads
import Time

/// Being a guest in the process.
enum MannersChecks {
    static let all: [Check] = [
        Check(
            "manners.silent", "Nothing is written to standard output or error.",
            rule: Rule.manners, needs: .direct, isSilent),
        Check(
            "manners.signals", "No signal handler is installed.", rule: Rule.manners,
            needs: .direct, leavesHandlers),
        Check(
            "manners.directory", "The working directory stays.", rule: Rule.manners,
            needs: .direct, leavesDirectory),
        Check(
            "manners.locale", "The locale stays.", rule: Rule.manners, needs: .direct,
            leavesLocale),
        Check(
            "manners.environment", "The environment stays.", rule: Rule.manners,
            needs: .direct, leavesEnvironment),
        Check(
            "manners.close-on-exec", "Descriptors are close-on-exec.", rule: Rule.manners,
            needs: .direct, closesOnExec),
        Check(
            "manners.children", "No process is left behind.", rule: Rule.manners,
            needs: .direct, leavesNoChildren),
        Check(
            "manners.log", "Log lines are UTF-8 with a known level, and few.",
            rule: Rule.log, needs: .direct, logsLittle),
        Check(
            "manners.secrets", "No secret gets into log, messages or description.",
            rule: Rule.log, keepsSecrets),
    ]

    /// A short life: made, called, called in vain, destroyed; and one that is refused.
    private static func live(_ bench: Bench) throws(Finding) {
        let session = try bench.directInstance()
        _ = try bench.call(session, bench.mainRequest)
        if bench.role == RQD_ROLE_REGISTRY {
            let report = try bench.call(session, .write("life", expected: [], value: [1]))
            _ = try bench.call(session, .list(""))
            if let record = report.record {
                _ = try bench.call(session, .erase("life", expected: record.revision))
            }
        }
        if session.offers(.wait("", token: [])) {
            let request = Request.wait(bench.role == RQD_ROLE_REGISTRY ? "life" : "", token: [])
            _ = try bench.call(session, request, seconds: 1)
        }
        if session.offers(.describe) { _ = try bench.call(session, .describe) }
        if let server = bench.fakeServer {
            try server.goDown()
            _ = try bench.call(session, bench.mainRequest, seconds: 1)
            try server.comeUp()
        }
        session.destroy()
        if let example = bench.manifest.reject.first {
            let arguments = bench.arguments(config: bench.filled(example.config))
            try bench.create(arguments).session?.destroy()
        }
    }

    @Sendable private static func isSilent(_ bench: Bench) throws(Finding) {
        let output = try CaughtOutput.during(bench) { () throws(Finding) in try live(bench) }
        guard output.isEmpty else {
            throw .failed(
                expected: "no output; there is rqd_host.log", seen: "\"\(output.prefix(200))\"")
        }
    }

    @Sendable private static func leavesHandlers(_ bench: Bench) throws(Finding) {
        let before = ProcessFacts.handlers()
        try live(bench)
        let changed = ProcessFacts.handlers().filter { before[$0.key] != $0.value }
        guard changed.isEmpty else {
            throw .failed(
                expected: "signals do what they did before",
                seen: changed.keys.sorted().map(ProcessFacts.signalName).joined(separator: ", ")
                    + " changed")
        }
    }

    @Sendable private static func leavesDirectory(_ bench: Bench) throws(Finding) {
        let before = ProcessFacts.workingDirectory()
        try live(bench)
        let after = ProcessFacts.workingDirectory()
        guard after == before else { throw .failed(expected: before, seen: after) }
    }

    @Sendable private static func leavesLocale(_ bench: Bench) throws(Finding) {
        let before = ProcessFacts.locale()
        try live(bench)
        let after = ProcessFacts.locale()
        guard after == before else { throw .failed(expected: before, seen: after) }
    }

    @Sendable private static func leavesEnvironment(_ bench: Bench) throws(Finding) {
        let before = ProcessFacts.environment()
        try live(bench)
        let after = ProcessFacts.environment()
        guard after == before else {
            let difference = Set(after).symmetricDifference(before)
                .map { String($0.prefix { $0 != "=" }) }
            throw .failed(
                expected: "the environment as before",
                seen: "changed: \(Set(difference).sorted().joined(separator: ", "))")
        }
    }

    /// Between calls, and while one waits for a server that is silent.
    @Sendable private static func closesOnExec(_ bench: Bench) throws(Finding) {
        let before = ProcessFacts.descriptors()
        let session = try bench.directInstance()
        _ = try bench.call(session, bench.mainRequest)
        try look(atDescriptorsBut: before)
        try bench.fakeServer?.misbehave(.silent)
        let pending = session.start(
            bench.mainRequest, MonotonicTime.now.nanoseconds + Bench.second / 3)
        repeat {
            try look(atDescriptorsBut: before)
        } while pending.wait(until: MonotonicTime.now.nanoseconds + 2_000_000) == nil
            && MonotonicTime.now.nanoseconds < pending.recorder.call.pointee.deadline_ns
                + Bench.second
        _ = try bench.finish(pending, bench.mainRequest, due: MonotonicTime.now.nanoseconds)
        session.destroy()
    }

    /// What is there at every look counts: libraries that read a file of the system in one go
    /// (`/etc/hosts`), or set the flag by a second call, have a descriptor without it for a moment, on a
    /// busy machine for the time that their thread waits for a processor.
    private static func look(atDescriptorsBut known: Set<Int32>) throws(Finding) {
        var lasting = inheritable(but: known)
        for _ in 0..<looks where !lasting.isEmpty {
            poll(nil, 0, 5)
            lasting.formIntersection(inheritable(but: known))
        }
        guard let lasting = lasting.min() else { return }
        throw .failed(expected: "descriptors with FD_CLOEXEC", seen: "\(lasting) is without")
    }

    /// 200 ms in all, within the third of a second for which the call waits for a silent server.
    private static let looks = 40

    /// Descriptors without the flag, with what they lead to.
    private static func inheritable(but known: Set<Int32>) -> Set<String> {
        let found = ProcessFacts.descriptors().subtracting(known).filter {
            !ProcessFacts.isCloseOnExec($0)
        }
        return Set(found.map { ProcessFacts.target(of: $0) })
    }

    @Sendable private static func leavesNoChildren(_ bench: Bench) throws(Finding) {
        try live(bench)
        let children = ProcessFacts.children()
        guard children.isEmpty else {
            throw .failed(
                expected: "no child process after destroy", seen: "\(children.count)")
        }
    }

    /// Lines for twenty calls of which each went as the one before.
    private static let toleratedLines = 40

    @Sendable private static func logsLittle(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        for _ in 0..<20 { _ = try bench.call(session, bench.mainRequest) }
        session.destroy()
        for line in session.log {
            guard CallResults.isText(line.text), line.text.count <= Int(RQD_MAX_MESSAGE),
                (RQD_LOG_DEBUG...RQD_LOG_ERROR).contains(line.level)
            else {
                throw .failed(
                    expected: "UTF-8 of up to \(RQD_MAX_MESSAGE) bytes, level 0 to 3",
                    seen: "level \(line.level), \(line.text.count) bytes: "
                        + String(decoding: line.text.prefix(80), as: UTF8.self))
            }
        }
        let loud = session.log.filter { $0.level > RQD_LOG_DEBUG }.count
        guard loud <= toleratedLines else {
            throw .failed(
                expected: "what changed is logged, not what stayed",
                seen: "\(loud) lines above debug for 20 calls that were alike")
        }
    }

    @Sendable private static func keepsSecrets(_ bench: Bench) throws(Finding) {
        let secrets = bench.manifest.secrets
        guard !secrets.isEmpty else { throw .skipped("the manifest names no secrets") }
        let session = try bench.instance()
        var texts: [[UInt8]] = []
        func note(_ report: CallReport) {
            texts += [report.results.message ?? [], report.results.text ?? []]
            texts += report.results.addresses.map { Array($0.source.utf8) }
        }
        note(try bench.call(session, bench.mainRequest))
        for fault in [Fault.status(403), .html, .silent] {
            guard let server = bench.fakeServer else { break }
            try server.misbehave(fault)
            note(try bench.call(session, bench.mainRequest, seconds: 1))
        }
        if session.offers(.describe) { note(try bench.call(session, .describe)) }
        session.destroy()
        texts += session.log.map(\.text)
        for secret in secrets {
            if let text = texts.first(where: { !$0.ranges(of: Array(secret.utf8)).isEmpty }) {
                throw .failed(
                    expected: "the secret \"\(secret)\" is told to nobody but the server",
                    seen: String(decoding: text.prefix(300), as: UTF8.self))
            }
        }
    }
}
