import Foundation
import PluginABI
import PluginSupport
import PluginTesting
import Synchronization
import Testing

@testable import DNSPlugin

/// Questions to a real name server, and to none.
@Suite struct DNSResolverTests {
    private final class Log: Sendable {
        let lines = Mutex<[String]>([])
    }

    private let log = Log()

    private func resolver(_ name: String, port: UInt16) throws -> DNSResolver {
        let config = "{\"name\":\"\(name)\",\"port\":4002,\"servers\":[\"127.0.0.1:\(port)\"]}"
        return try DNSResolver(
            InstanceArguments(mode: "dns", config: Array(config.utf8)),
            log: HostLog { [log] _, line in log.lines.withLock { $0.append(line) } }
        ) { _ in nil }
    }

    private func call(seconds: Double, cancelDescriptor: Int32 = -1) -> Call {
        Call(
            deadline: Call.now + UInt64(seconds * 1_000_000_000), cancelDescriptor: cancelDescriptor
        )
    }

    @Test func `All addresses of both families come out, with their time to live`() throws {
        let server = try NameServer(
            hosts: "10.1.0.1 db.test\n10.1.0.2 db.test\n2001:db8::1 db.test\n")
        let resolver = try resolver("db.test", port: server.port)
        let origin = "db.test from 127.0.0.1:\(server.port)"
        let found = try resolver.resolve(call(seconds: 20)).sorted { $0.host < $1.host }
        #expect(
            found == [
                FoundAddress(host: "10.1.0.1", port: 4002, timeToLive: 7, source: "A \(origin)"),
                FoundAddress(host: "10.1.0.2", port: 4002, timeToLive: 7, source: "A \(origin)"),
                FoundAddress(
                    host: "2001:db8::1", port: 4002, timeToLive: 7, source: "AAAA \(origin)"),
            ])
        _ = try resolver.resolve(call(seconds: 20))
        #expect(
            log.lines.withLock { $0 } == [
                "db.test has the addresses 10.1.0.1, 10.1.0.2, 2001:db8::1"
            ])
    }

    @Test func `A name without addresses of one family is no error`() throws {
        let server = try NameServer(hosts: "2001:db8::7 six.test\n")
        let found = try resolver("six.test", port: server.port).resolve(call(seconds: 20))
        #expect(found.map(\.host) == ["2001:db8::7"])
    }

    @Test func `An IP address needs no server`() throws {
        let found = try resolver("10.9.8.7", port: 1).resolve(call(seconds: 20))
        #expect(found.map(\.host) == ["10.9.8.7"])
    }

    @Test func `A name that does not exist is told with question and server`() throws {
        let server = try NameServer(hosts: "10.1.0.1 db.test\n")
        let resolver = try resolver("none.test.", port: server.port)
        let error = #expect(throws: CallFailure.self) {
            try resolver.resolve(call(seconds: 20))
        }
        #expect(error?.code == RQD_UNAVAILABLE)
        #expect(
            error?.message
                == "DNS question for A and AAAA of none.test. to 127.0.0.1:\(server.port): "
                + "no such name")
    }

    @Test func `A dead server costs no more than the deadline`() throws {
        let (descriptor, port) = try Loopback.silentServer()
        defer { close(descriptor) }
        let resolver = try resolver("db.test.", port: port)
        let call = call(seconds: 0.1)
        let error = #expect(throws: CallFailure.self) { try resolver.resolve(call) }
        #expect(Call.now < call.deadline + 1_000_000_000)
        #expect(error?.code == RQD_TIMEOUT)
        #expect(error?.message.contains("db.test. to 127.0.0.1:\(port): no answer in time") == true)
    }

    @Test func `A cancellation ends the question at once`() throws {
        let (descriptor, port) = try Loopback.silentServer()
        defer { close(descriptor) }
        let pipe = Pipe()
        pipe.fileHandleForWriting.write(Data([1]))
        let resolver = try resolver("db.test.", port: port)
        let call = call(
            seconds: 600, cancelDescriptor: pipe.fileHandleForReading.fileDescriptor)
        let error = #expect(throws: CallFailure.self) { try resolver.resolve(call) }
        #expect(error?.code == RQD_CANCELLED)
    }
}
