import Discovery
import Glibc
import HarnessBackends
import JSON
import PluginABI
import Synchronization
import Threads
import Time

/// An instance in a process of its own, called by the host's own code, as under
/// `-disco-isolation=process`.
final class IsolatedSession: Session {
    /// The word by which the harness becomes that process.
    static let verb = "--serve-plugin"

    private let instance: PluginInstance
    private let isRegistry: Bool
    private let lines: Lines

    private final class Lines: Sendable {
        let all = Mutex<[LogLine]>([])
    }

    private init(_ instance: PluginInstance, isRegistry: Bool, lines: Lines) {
        self.instance = instance
        self.isRegistry = isRegistry
        self.lines = lines
    }

    /// Makes the process and the instance in it.
    static func create(_ job: Job, _ arguments: InstanceArguments) throws(Finding) -> Creation {
        let choice: PluginChoice
        do {
            let path = job.plugin.contains("/") ? job.plugin : "./" + job.plugin
            choice = try PluginCatalog(directories: []).find(mode: "\(path)#\(arguments.mode)")
        } catch {
            throw .skipped("the host refuses the plugin; see file.host")
        }
        let lines = Lines()
        let instance = PluginInstance(
            source: .isolated(choice.location, PluginProcess(arguments: [verb])),
            arguments: PluginArguments(
                key: arguments.key, config: arguments.config, nodeID: InstanceArguments.nodeID,
                raft: (InstanceArguments.raftAddress, 0), apiURL: InstanceArguments.apiURL),
            environment: PluginEnvironment(
                log: { level, text in
                    let line = LogLine(level: level.rawValue, text: Array(text.utf8))
                    lines.all.withLock { $0.append(line) }
                }, wallTime: { "" }))
        let session = IsolatedSession(
            instance, isRegistry: choice.mode.role == .registry, lines: lines)
        let start = MonotonicTime.now.nanoseconds
        let call = IsolatedCall(.describe)
        instance.start(timeout: .seconds(10)) { result in
            call.finish(result, start) { _, _ in }
        }
        guard let report = call.wait(until: start + 15 * Bench.second) else {
            throw .failed(expected: "create returns", seen: "it was not back after 15 s")
        }
        if let crash = report.crash { throw .crashed(crash) }
        if report.status != RQD_OK { session.destroy() }
        return Creation(
            status: report.status, results: report.results,
            milliseconds: Int((report.ended - start) / 1_000_000),
            session: report.status == RQD_OK ? session : nil, log: session.log)
    }

    /// Of the plugin's process, while one runs.
    var processID: Int32? {
        guard case .number(let text)? = instance.status()["process_id"] else { return nil }
        return Int32(text)
    }

    var log: [LogLine] { lines.all.withLock { $0 } }

    /// A watch that is not there shows when it is called; descriptions the host asks for itself.
    func offers(_ request: Request) -> Bool {
        switch request {
        case .describe, .page, .update: return false
        case .resolve: return !isRegistry
        case .read, .write, .erase, .list: return isRegistry
        case .wait:
            let name = isRegistry ? "leader" : ""
            let pending = begin(.wait(name, token: []), deadline: MonotonicTime.now.nanoseconds)
            let report = pending.wait(until: MonotonicTime.now.nanoseconds + 5 * Bench.second)
            return report?.status != RQD_UNSUPPORTED
        }
    }

    func destroy() {
        let gone = IsolatedCall(.describe)
        let start = MonotonicTime.now.nanoseconds
        instance.stop { gone.finish(.success(()), start) { _, _ in } }
        _ = gone.wait(until: start + 5 * Bench.second)
    }

    func begin(_ request: Request, deadline: UInt64) -> any PendingCall {
        let start = MonotonicTime.now.nanoseconds
        let timeout = Duration.nanoseconds(Int64(deadline > start ? deadline - start : 0))
        let call = IsolatedCall(request)
        let handle =
            switch request {
            case .resolve:
                instance.resolve(timeout: timeout) { result in
                    call.finish(result, start) { $0.take($1) }
                }
            case .read(let name):
                instance.read(name, timeout: timeout) { result in
                    call.finish(result, start) { $0.take($1) }
                }
            case .write(let name, let expected, let value):
                instance.write(
                    name, value: value, expected: expected.isEmpty ? nil : expected,
                    timeout: timeout
                ) { result in
                    call.finish(result, start) { $0.take($1, name: name) }
                }
            case .erase(let name, let expected):
                instance.erase(name, expected: expected, timeout: timeout) { result in
                    call.finish(result, start) { $0.take($1) }
                }
            case .list(let prefix):
                instance.list(prefix: prefix, timeout: timeout) { result in
                    call.finish(result, start) { $0.results.records = $1.map(FoundRecord.init) }
                }
            case .wait(let name, let token):
                instance.wait(for: name, token: token, timeout: timeout) { result in
                    call.finish(result, start) { $0.take($1) }
                }
            // The host asks for pages and describes by itself.
            case .describe, .page, .update:
                instance.start(timeout: timeout) { result in call.finish(result, start) { _, _ in }
                }
            }
        call.handle.withLock { $0 = handle }
        return call
    }
}

/// A call under way in another process.
private final class IsolatedCall: PendingCall {
    let handle = Mutex<PluginCall?>(nil)
    private let request: Request
    private let report = Mutex<CallReport?>(nil)

    init(_ request: Request) { self.request = request }

    func cancel() { handle.withLock { $0 }?.cancel() }

    func wait(until time: UInt64) -> CallReport? {
        while true {
            if let report = report.withLock({ $0 }) { return report }
            guard MonotonicTime.now.nanoseconds < time else { return nil }
            CurrentThread.pause(milliseconds: 1)
        }
    }

    func finish<Answer>(
        _ result: Result<Answer, PluginError>, _ start: UInt64,
        _ take: (inout CallReport, Answer) -> Void
    ) {
        var report = CallReport(
            request: request, status: RQD_OK, results: CallResults(), started: start,
            ended: MonotonicTime.now.nanoseconds)
        switch result {
        case .success(let answer): take(&report, answer)
        case .failure(let error): report.take(error)
        }
        self.report.withLock { $0 = report }
    }
}

/// The host's answers in the words of the ABI.
extension CallReport {
    fileprivate mutating func take(_ answer: Resolution) {
        results.addresses = answer.addresses.map {
            FoundAddress(host: $0.host, port: UInt32($0.port), source: $0.source)
        }
        results.token = answer.token
    }

    fileprivate mutating func take(_ answer: RegistryReading) {
        status = answer.record == nil ? RQD_ABSENT : RQD_OK
        results.records = answer.record.map { [FoundRecord($0)] } ?? []
        results.token = answer.token
    }

    fileprivate mutating func take(_ answer: RegistryWriting, name: String) {
        switch answer {
        case .written(let revision):
            results.records = [FoundRecord(name: name, value: [], revision: revision)]
        case .conflict: status = RQD_CONFLICT
        case .absent: status = RQD_ABSENT
        }
    }

    fileprivate mutating func take(_ answer: RegistryErasure) {
        switch answer {
        case .erased: status = RQD_OK
        case .conflict: status = RQD_CONFLICT
        case .absent: status = RQD_ABSENT
        }
    }

    fileprivate mutating func take(_ answer: WatchOutcome) {
        switch answer {
        case .changed(let token): results.token = token
        case .unchanged: status = RQD_TIMEOUT
        }
    }

    /// What the host says of results that break the contract, and of a process that is gone.
    fileprivate mutating func take(_ error: PluginError) {
        status = error.code.rawValue < 100 ? error.code.rawValue : RQD_INTERNAL
        results.message = Array(error.message.utf8)
        if error.code == .protocol, error.message.contains("broke its contract") {
            results.malformed.append(error.message)
        }
        if error.code == .unavailable, error.message.hasPrefix("the process of plugin ") {
            crash = error.message
        }
    }
}

extension FoundRecord {
    fileprivate init(_ record: RegistryRecord) {
        self.init(name: record.name, value: record.value, revision: record.revision)
    }
}

/// The harness in the role of that process.
package enum IsolatedPlugin {
    package static let verb = IsolatedSession.verb

    /// Never returns.
    package static func run() -> Never {
        let failure = PluginServer.run()
        // At once: the plugin's threads may be anywhere.
        _exit(failure == nil ? 0 : 1)
    }
}
