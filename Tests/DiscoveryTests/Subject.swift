import Synchronization

@testable import Discovery

/// A plugin instance under test, with calls to await.
final class Subject: Sendable {
    struct Line: Equatable {
        let level: PluginLogLevel
        let text: String
    }

    let instance: PluginInstance
    private let log: Log

    final class Log: Sendable {
        let lines = Mutex<[Line]>([])
    }

    init(_ plugin: Plugin, config: String = "", timing: PluginInstance.Timing = .init()) {
        let log = Log()
        self.log = log
        instance = PluginInstance(
            plugin: plugin,
            arguments: PluginArguments(
                key: "some/key", config: Array(config.utf8), nodeID: "1",
                raft: ("10.0.0.1:4002", 4002), apiURL: "http://10.0.0.1:4001"),
            environment: PluginEnvironment(
                log: { level, text in
                    log.lines.withLock { $0.append(Line(level: level, text: text)) }
                },
                wallTime: { "2026-01-02T15:04:05Z" }),
            timing: timing)
    }

    var lines: [Line] { log.lines.withLock { $0 } }

    func resolve(_ timeout: Duration = .seconds(10)) async -> Result<Resolution, PluginError> {
        await withCheckedContinuation { waiter in
            instance.resolve(timeout: timeout) { waiter.resume(returning: $0) }
        }
    }

    func start() async -> Result<Void, PluginError> {
        await withCheckedContinuation { waiter in
            instance.start(timeout: .seconds(10)) { waiter.resume(returning: $0) }
        }
    }

    func read(_ name: String) async throws -> RegistryReading {
        try await withCheckedContinuation { waiter in
            instance.read(name, timeout: .seconds(10)) { waiter.resume(returning: $0) }
        }.get()
    }

    func write(_ name: String, _ value: [UInt8], _ expected: [UInt8]?) async throws
        -> RegistryWriting
    {
        try await withCheckedContinuation { waiter in
            instance.write(name, value: value, expected: expected, timeout: .seconds(10)) {
                waiter.resume(returning: $0)
            }
        }.get()
    }

    func erase(_ name: String, _ expected: [UInt8]) async throws -> RegistryErasure {
        try await withCheckedContinuation { waiter in
            instance.erase(name, expected: expected, timeout: .seconds(10)) {
                waiter.resume(returning: $0)
            }
        }.get()
    }

    func list(_ prefix: String) async throws -> [RegistryRecord] {
        try await withCheckedContinuation { waiter in
            instance.list(prefix: prefix, timeout: .seconds(10)) { waiter.resume(returning: $0) }
        }.get()
    }

    func wait(
        _ name: String, _ token: [UInt8], _ timeout: Duration = .seconds(10)
    ) async -> Result<WatchOutcome, PluginError> {
        await withCheckedContinuation { waiter in
            instance.wait(for: name, token: token, timeout: timeout) {
                waiter.resume(returning: $0)
            }
        }
    }

    func stop() async {
        await withCheckedContinuation { waiter in instance.stop { waiter.resume() } }
    }
}
