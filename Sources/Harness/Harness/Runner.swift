import CHarness
import Glibc
import HarnessBackends
import JSON
import Synchronization
import Threads
import Time

/// Makes checks of one plugin, each in a child process, several at a time.
package struct Runner: Sendable {
    package var plugin: String
    package var mode: String
    /// The manifest's file; nil: there is none.
    package var manifestPath: String?
    package var manifest = Manifest()
    /// From `--config`.
    package var config: [UInt8]?
    package var backendURL: String?
    package var isIsolated = false
    /// Checks of liveness and faults that can't be made count as failed.
    package var isStrict = false
    /// Checks with a call that did not come back, after which no more are made.
    package var hangLimit = Int.max
    package var seed: UInt64 = 1
    /// Checks at one time.
    package var jobs = 4
    /// Multiplies the time limits of checks, for slow tools.
    package var slowness = 1
    /// A command to run each child under, as `valgrind`.
    package var wrapper: [String] = []
    /// The harness's own file.
    package var executable = Runner.ownExecutable

    package init(plugin: String, mode: String) {
        self.plugin = plugin
        self.mode = mode
    }

    /// Not the link to it: below a wrapper that would be the wrapper's.
    package static var ownExecutable: String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let bytes = buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    package struct Entry: Sendable {
        package let check: Check
        package let verdict: Verdict
    }

    private struct Progress {
        var next = 0
        var done: [Int: Entry] = [:]
        var workers = 0
        var hangs = 0
    }

    /// Blocks until all are made. `report` gets each result, in the order of `checks`, one at a time.
    package func run(_ checks: [Check], report: (Entry) -> Void) -> [Entry] {
        let progress = Progress(workers: max(min(jobs, checks.count), 1))
        let state = SharedProgress(progress)
        for _ in 0..<progress.workers {
            CallThread.start { [self] in
                while let index = state.take(checks.count) {
                    let check = checks[index]
                    let hangs = state.hangs
                    let verdict = hangs < hangLimit ? perform(check) : ended(after: hangs)
                    state.put(index, Entry(check: check, verdict: strict(verdict, check)))
                }
            }
        }
        var entries: [Entry] = []
        while entries.count < checks.count {
            guard let entry = state.entry(entries.count) else {
                CurrentThread.pause(milliseconds: 2)
                continue
            }
            entries.append(entry)
            report(entry)
        }
        return entries
    }

    /// What the workers share.
    private final class SharedProgress: Sendable {
        private let state: Mutex<Progress>

        init(_ progress: Progress) { state = Mutex(progress) }

        func take(_ count: Int) -> Int? {
            state.withLock { state in
                guard state.next < count else { return nil }
                state.next += 1
                return state.next - 1
            }
        }

        func put(_ index: Int, _ entry: Entry) {
            state.withLock { state in
                state.done[index] = entry
                if entry.verdict.isHang { state.hangs += 1 }
            }
        }

        var hangs: Int { state.withLock { $0.hangs } }
        func entry(_ index: Int) -> Entry? { state.withLock { $0.done[index] } }
    }

    private func ended(after hangs: Int) -> Verdict {
        Verdict(
            outcome: .skipped, expected: "",
            seen: "calls did not come back in \(hangs) checks; --keep-going makes the others too")
    }

    /// `--strict`: what should have been looked at and was not.
    private func strict(_ verdict: Verdict, _ check: Check) -> Verdict {
        let isVital = [Check.Group.deadlines, .faults, .leaks, .watch, .manners].contains(
            check.group)
        guard isStrict, isVital, verdict.outcome == .skipped,
            !Self.tolerated.contains(verdict.seen)
        else { return verdict }
        var failed = Verdict(
            outcome: .failed, expected: "the check is made, for --strict", seen: verdict.seen)
        failed.milliseconds = verdict.milliseconds
        return failed
    }

    private static let forResolvers = "for resolvers"
    private static let forRegistries = "for registries"
    private static let unseen = "under isolation there is nothing to see"
    private static let outside = "with --isolation"
    /// Reasons that lie in what the check is for, not in what could be had.
    private static let tolerated = [
        forResolvers, forRegistries, unseen, outside, Bench.noWatch, FaultChecks.noProxies,
    ]

    /// Times that something must be late before the plugin is blamed for it and not the machine.
    private static let latenessRounds = 3

    private func perform(_ check: Check) -> Verdict {
        if let reason = reasonToSkip(check) {
            return Verdict(outcome: .skipped, expected: "", seen: reason)
        }
        let start = MonotonicTime.now.nanoseconds
        var verdict: Verdict
        do throws(BackendError) {
            verdict = try performInChild(check)
            var rounds = 1
            while verdict.isLate, rounds < Self.latenessRounds {
                verdict = try performInChild(check)
                rounds += 1
            }
        } catch {
            verdict = Verdict(
                outcome: .skipped, expected: "", seen: "the harness itself failed: \(error)")
        }
        verdict.milliseconds = Int((MonotonicTime.now.nanoseconds - start) / 1_000_000)
        return verdict
    }

    private func reasonToSkip(_ check: Check) -> String? {
        let role = PluginModes.read(plugin).first { $0.name == mode }?.role
        if check.needs.contains(.direct), isIsolated {
            return Self.unseen
        }
        if check.needs.contains(.isolated), !isIsolated { return Self.outside }
        if check.needs.contains(.resolver), role != 1 { return Self.forResolvers }
        if check.needs.contains(.registry), role != 2 { return Self.forRegistries }
        if check.needs.contains(.fakeServer), let backendURL {
            return TCPProxy.canStand(before: backendURL)
                ? nil : "no proxy can stand before this server"
        }
        if check.needs.contains(.fakeServer), manifest.backend == nil {
            return "the manifest names no fake server"
        }
        return nil
    }

    private func performInChild(_ check: Check) throws(BackendError) -> Verdict {
        let directory = try ScratchDirectory()
        let backend = try makeBackend()
        defer { backend?.stop() }
        let child = try ChildProcess(
            wrapper + [executable, CheckProcess.verb], environment: childEnvironment(directory),
            sockets: backend == nil ? 1 : 2)
        if let backend {
            let line = child.socket(1)
            // Ends with the child; its end of the line is a copy, for this one closes with `child`.
            let copy = fcntl(line, F_DUPFD_CLOEXEC, 0)
            CallThread.start {
                BackendLine.serve(backend, on: MessageLine(copy))
                close(copy)
            }
        }
        let line = MessageLine(child.socket(0))
        let job = Job(
            check: check.name, plugin: plugin, mode: mode, manifest: manifestPath ?? "",
            config: config, backendURL: backendURL, hasFakeServer: backend != nil,
            isIsolated: isIsolated, seed: seed, slowness: slowness, directory: directory.path)
        let limit = MonotonicTime.now.nanoseconds + UInt64(check.timeout * slowness) * 1_000_000_000
        guard line.send(job.json), child.waitForMessage(until: limit) else {
            let call = CallActivity.longest(in: directory.path)
            _ = child.end(at: MonotonicTime.now.nanoseconds)
            var verdict = Verdict(
                outcome: .failed, expected: "the check ends within \(check.timeout) s",
                seen: call.map { "\($0.name) was not back after \($0.seconds) s" }
                    ?? "it did not, and was ended")
            verdict.seen += tail(child)
            verdict.isHang = call != nil
            return verdict
        }
        let message = line.receive(until: limit)
        let status = child.end(
            at: MonotonicTime.now.nanoseconds + UInt64(5 * slowness) * 1_000_000_000)
        guard let verdict = message.flatMap(Verdict.init) else { return crash(status, child) }
        guard status == 0 else {
            guard check.needs.contains(.exit), verdict.outcome == .passed else {
                return crash(status, child)
            }
            return Verdict(
                outcome: .failed, expected: "exit(0) ends the process with code 0 within 5 s",
                seen: how(status) + tail(child))
        }
        return verdict
    }

    /// A fake one, or what makes faults before a real one.
    private func makeBackend() throws(BackendError) -> (any Backend)? {
        if let backendURL {
            return TCPProxy.canStand(before: backendURL) ? try TCPProxy(before: backendURL) : nil
        }
        guard let kind = manifest.backend else { return nil }
        return try BackendCatalog.make(kind)
    }

    private func crash(_ status: Int32, _ child: ChildProcess) -> Verdict {
        Verdict(
            outcome: .crashed, expected: "the process survives",
            seen: how(status) + tail(child))
    }

    private func how(_ status: Int32) -> String {
        charness_exited(status) != 0
            ? "the process ended with code \(charness_code(status)) in the midst of it"
            : String(cString: charness_signal_name(charness_code(status)))
    }

    private func tail(_ child: ChildProcess) -> String {
        let text = String(decoding: child.output.suffix(600), as: UTF8.self)
        return text.isEmpty ? "" : "; it said: \(text)"
    }

    /// As the harness's own, but that memory which is freed or fresh is filled with a pattern, so
    /// that the use of either shows.
    private func childEnvironment(_ directory: ScratchDirectory) -> [String] {
        let placeholders = Placeholders(values: [("FILES", directory.path), ("MODE", mode)])
        let own = manifest.environment.map { variable in
            "\(variable.name)=\(placeholders.fill(variable.value.string ?? ""))"
        }
        let names = Set(
            manifest.environment.map(\.name) + [
                "MALLOC_PERTURB_", "GLIBC_TUNABLES", "SWIFT_BACKTRACE",
            ])
        let inherited = ProcessFacts.environment().filter { entry in
            !names.contains(String(entry.prefix { $0 != "=" }))
        }
        // Swift's crash reports come from handlers, of which the host has none.
        // Without the allocator's caches what is freed counts as free.
        return inherited + own + [
            "MALLOC_PERTURB_=165", "GLIBC_TUNABLES=glibc.malloc.tcache_count=0",
            "SWIFT_BACKTRACE=enable=no",
        ]
    }
}
