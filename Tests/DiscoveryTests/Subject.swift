import Foundation
import JSON
import Synchronization

@testable import Discovery

/// Where a plugin under test runs. What a caller sees must be the same.
enum Place: CaseIterable, Sendable {
    case inProcess
    case isolated
}

/// A plugin instance under test, with calls to await.
final class Subject: Sendable {
    struct Line: Equatable {
        let level: PluginLogLevel
        let text: String
    }

    /// Only ends what hangs: a process that crashes on a busy machine takes many seconds to do so,
    /// for Swift's runtime describes the crash first.
    static let patience = Duration.seconds(120)

    let instance: PluginInstance
    private let log: Log

    final class Log: Sendable {
        let lines = Mutex<[Line]>([])
    }

    convenience init(_ plugin: Plugin, config: String = "", timing: PluginInstance.Timing = .init())
    {
        self.init(.loaded(plugin, refuge: nil), config: Array(config.utf8), timing: timing)
    }

    /// - Parameter mode: found in the workshop's directory.
    convenience init(
        _ workshop: Workshop, _ mode: String, _ place: Place, config: String = "",
        timing: PluginInstance.Timing = .init()
    ) throws {
        let source: PluginSource =
            switch place {
            case .inProcess: .loaded(try workshop.load(mode), refuge: nil)
            case .isolated: .isolated(try workshop.find(mode).location, Self.process)
            }
        self.init(source, config: Array(config.utf8), timing: timing)
    }

    init(_ source: PluginSource, config: [UInt8], timing: PluginInstance.Timing = .init()) {
        let log = Log()
        self.log = log
        instance = PluginInstance(
            source: source,
            arguments: PluginArguments(
                key: "some/key", config: config, nodeID: "1",
                raft: ("10.0.0.1:4002", 4002), apiURL: "http://10.0.0.1:4001"),
            environment: PluginEnvironment(
                log: { level, text in
                    log.lines.withLock { $0.append(Line(level: level, text: text)) }
                },
                wallTime: { "2026-01-02T15:04:05Z" }),
            timing: timing)
    }

    /// The daemon, which was built beside the tests.
    static let process: PluginProcess = {
        let tests = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        return PluginProcess(
            executable: tests.deletingLastPathComponent().appending(path: "rqlited").path,
            arguments: ["disco", "serve-plugin"])
    }()

    /// Without what differs from run to run.
    var status: JSONValue {
        guard case .object(let members) = instance.status() else { return .null }
        return .object(members.filter { !["durations", "process_id"].contains($0.name) })
    }

    /// Of the plugin's own process.
    var processID: Int32? {
        guard case .number(let text)? = instance.status()["process_id"] else { return nil }
        return Int32(text)
    }

    var lines: [Line] { log.lines.withLock { $0 } }

    func resolve(_ timeout: Duration = Subject.patience) async -> Result<Resolution, PluginError> {
        await withCheckedContinuation { waiter in
            instance.resolve(timeout: timeout) { waiter.resume(returning: $0) }
        }
    }

    func start() async -> Result<Void, PluginError> {
        await withCheckedContinuation { waiter in
            instance.start(timeout: Subject.patience) { waiter.resume(returning: $0) }
        }
    }

    func read(_ name: String) async throws -> RegistryReading {
        try await withCheckedContinuation { waiter in
            instance.read(name, timeout: Subject.patience) { waiter.resume(returning: $0) }
        }.get()
    }

    func write(_ name: String, _ value: [UInt8], _ expected: [UInt8]?) async throws
        -> RegistryWriting
    {
        try await withCheckedContinuation { waiter in
            instance.write(name, value: value, expected: expected, timeout: Subject.patience) {
                waiter.resume(returning: $0)
            }
        }.get()
    }

    func erase(_ name: String, _ expected: [UInt8]) async throws -> RegistryErasure {
        try await withCheckedContinuation { waiter in
            instance.erase(name, expected: expected, timeout: Subject.patience) {
                waiter.resume(returning: $0)
            }
        }.get()
    }

    func list(_ prefix: String) async throws -> [RegistryRecord] {
        try await withCheckedContinuation { waiter in
            instance.list(prefix: prefix, timeout: Subject.patience) {
                waiter.resume(returning: $0)
            }
        }.get()
    }

    func wait(
        _ name: String, _ token: [UInt8], _ timeout: Duration = Subject.patience
    ) async -> Result<WatchOutcome, PluginError> {
        await withCheckedContinuation { waiter in
            instance.wait(for: name, token: token, timeout: timeout) {
                waiter.resume(returning: $0)
            }
        }
    }

    func renew(
        _ config: String, _ timeout: Duration = Subject.patience
    ) async -> Result<Void, PluginError> {
        await withCheckedContinuation { waiter in
            instance.renew(from: nil, config: Array(config.utf8), timeout: timeout) {
                waiter.resume(returning: $0)
            }
        }
    }

    func stop() async {
        await withCheckedContinuation { waiter in instance.stop { waiter.resume() } }
    }
}
