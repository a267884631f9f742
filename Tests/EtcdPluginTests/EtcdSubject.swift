import Foundation
import PluginABI
import PluginSupport
import ServerTesting
import Synchronization
import Testing

@testable import EtcdPlugin

/// A registry of the `etcd-kv` mode and what it logged.
final class EtcdSubject: Sendable {
    let registry: EtcdRegistry
    private let lines: Log

    private final class Log: Sendable {
        let lines = Mutex<[String]>([])
    }

    init(_ config: String, key: String = "rqlite") throws {
        let log = Log()
        lines = log
        registry = try EtcdRegistry(
            InstanceArguments(mode: "etcd-kv", key: key, config: Array(config.utf8)),
            log: HostLog { _, line in log.lines.withLock { $0.append(line) } },
            environment: { _ in nil })
    }

    convenience init(_ servers: EtcdServer..., more: String = "") throws {
        let list = servers.map { "\"\($0.url)\"" }.joined(separator: ",")
        try self.init("{\"endpoints\":[\(list)]\(more)}")
    }

    var logged: [String] { lines.lines.withLock { $0 } }

    func read(_ name: String = "leader", seconds: Double = 10) throws -> RegistryReading {
        try registry.read(name, Self.call(seconds: seconds))
    }

    @discardableResult
    func write(
        _ value: String, _ name: String = "leader", expected: [UInt8]? = nil, seconds: Double = 10
    ) throws -> [UInt8] {
        try registry.write(
            name, expected: expected, value: Array(value.utf8), Self.call(seconds: seconds))
    }

    func failure(_ body: (EtcdSubject) throws -> Void) -> CallFailure? {
        do {
            try body(self)
            Issue.record("no failure")
            return nil
        } catch {
            return error as? CallFailure
        }
    }

    static func call(seconds: Double, cancelDescriptor: Int32 = -1) -> Call {
        Call(
            deadline: Call.now + UInt64(seconds * 1_000_000_000), cancelDescriptor: cancelDescriptor
        )
    }
}
