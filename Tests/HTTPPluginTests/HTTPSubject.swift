import Foundation
import HTTPPlugin
import HarnessBackends
import JSON
import PluginABI
import PluginSupport
import Synchronization

/// A server that answers as a test says, and remembers what it was asked.
final class HTTPSubject: Sendable {
    private let server: FakeHTTPServer
    private let asked: Asked

    init(_ answer: @escaping @Sendable (ReceivedRequest) -> HTTPResponse) throws {
        let asked = Asked()
        server = try FakeHTTPServer { request, _ in
            asked.all.withLock { $0.append(request) }
            return answer(request)
        }
        self.asked = asked
    }

    private final class Asked: Sendable {
        let all = Mutex<[ReceivedRequest]>([])
    }

    deinit { server.goDown() }

    var url: String { server.url }
    var received: [ReceivedRequest] { asked.all.withLock { $0 } }

    /// - Parameter members: of the configuration, beside `url`.
    func resolver(
        _ members: [String: JSONValue] = [:], path: String = "/nodes"
    ) throws -> HTTPResolver {
        try HTTPResolver.make(members.merging(["url": .string(url + path)]) { $1 })
    }
}

extension HTTPSubject {
    /// What one look finds.
    func found(_ members: [String: JSONValue] = [:]) throws -> [String] {
        let resolver = try resolver(members)
        return try withExtendedLifetime(self) { try resolver.found() }
    }

    /// What one look fails with.
    func failure(_ members: [String: JSONValue] = [:]) throws -> CallFailure? {
        let resolver = try resolver(members)
        return withExtendedLifetime(self) { resolver.failure() }
    }
}

extension HTTPResolver {
    static func make(_ members: [String: JSONValue]) throws -> HTTPResolver {
        let config = JSONValue.object(members.sorted { $0.key < $1.key }.map { .init($0, $1) })
        return try HTTPResolver(
            InstanceArguments(mode: "http", config: Array(config.text().utf8)),
            environment: { _ in nil })
    }

    func found() throws -> [String] {
        try look(call()).found.map { "\($0.host) \($0.port)" }
    }

    /// What a look fails with.
    func failure() -> CallFailure? {
        do throws(CallFailure) {
            _ = try look(call())
            return nil
        } catch {
            return error
        }
    }
}

/// Generous: tests run beside others.
func call(seconds: Double = 30, cancelDescriptor: Int32 = -1) -> Call {
    Call(
        deadline: Call.now + UInt64(seconds * 1_000_000_000), cancelDescriptor: cancelDescriptor)
}
