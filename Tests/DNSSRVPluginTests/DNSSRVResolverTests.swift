import DNSSRVPlugin
import Foundation
import PluginABI
import PluginSupport
import PluginTesting
import Synchronization
import Testing

/// Questions to a real name server, and to none.
@Suite struct DNSSRVResolverTests {
    private final class Log: Sendable {
        let lines = Mutex<[String]>([])
    }

    private let log = Log()

    private func resolver(port: UInt16, service: String = "rqlite") throws -> DNSSRVResolver {
        let config = """
            {"name":"db.test.","service":"\(service)","servers":["127.0.0.1:\(port)"]}
            """
        return try DNSSRVResolver(
            InstanceArguments(mode: "dns-srv", config: Array(config.utf8)),
            log: HostLog { [log] level, line in
                log.lines.withLock { $0.append("\(level) \(line)") }
            }
        ) { _ in nil }
    }

    private func server(_ records: [String], options: [String] = []) throws -> NameServer {
        try NameServer(
            hosts: "10.1.0.1 n1.test\n10.1.0.2 n2.test\n2001:db8::2 n2.test\n",
            options: records.map { "--srv-host=_rqlite._tcp.db.test,\($0)" } + options)
    }

    private func call(seconds: Double, cancelDescriptor: Int32 = -1) -> Call {
        Call(
            deadline: Call.now + UInt64(seconds * 1_000_000_000), cancelDescriptor: cancelDescriptor
        )
    }

    private func address(
        _ host: String, _ port: UInt16, _ source: String, rank: (UInt16, UInt16)
    ) -> FoundAddress {
        var address = FoundAddress(host: host, port: port, timeToLive: 0, source: source)
        (address.priority, address.weight) = rank
        return address
    }

    @Test func `All addresses of all targets come out, as their records have them`() throws {
        let server = try server(["n1.test,4002,10,60", "n2.test,4004,20,5", "n1.test,4006"])
        let resolver = try resolver(port: server.port)
        let origin = "from 127.0.0.1:\(server.port)"
        let found = try resolver.resolve(call(seconds: 20)).sorted {
            ($0.port, $0.host) < ($1.port, $1.host)
        }
        #expect(
            found == [
                address("10.1.0.1", 4002, "A n1.test. \(origin)", rank: (10, 60)),
                address("10.1.0.2", 4004, "A n2.test. \(origin)", rank: (20, 5)),
                address("2001:db8::2", 4004, "AAAA n2.test. \(origin)", rank: (20, 5)),
                address("10.1.0.1", 4006, "A n1.test. \(origin)", rank: (0, 0)),
            ])
        _ = try resolver.resolve(call(seconds: 20))
        #expect(
            log.lines.withLock { $0 } == [
                "info _rqlite._tcp.db.test. has the addresses 10.1.0.1:4002, 10.1.0.1:4006, "
                    + "10.1.0.2:4004, [2001:db8::2]:4004"
            ])
    }

    @Test func `A broken target is named, once, and spoils nothing`() throws {
        let server = try server(["n1.test,4002", "gone.test,4002", "n2.test,0"])
        let resolver = try resolver(port: server.port)
        for _ in 1...2 {
            #expect(try resolver.resolve(call(seconds: 20)).map(\.host) == ["10.1.0.1"])
        }
        let warnings = log.lines.withLock { $0 }.filter { $0.hasPrefix("warning") }.sorted()
        let start = "warning a target of _rqlite._tcp.db.test. is left out: "
        #expect(
            warnings == [
                start + "DNS question for A and AAAA of gone.test. to 127.0.0.1:\(server.port): "
                    + "no such name",
                start + "the SRV record with target n2.test. and port 0 leads nowhere",
            ])
    }

    @Test func `Many records of one target with many addresses are not multiplied`() throws {
        let server = try NameServer(
            hosts: (1...40).map { "10.1.0.\($0) n.test\n" }.joined(),
            options: (1...40).map { "--srv-host=_rqlite._tcp.db.test,n.test,\($0)" })
        let found = try resolver(port: server.port).resolve(call(seconds: 20))
        #expect(found.isExcessive)
        #expect(found.count <= Int(RQD_MAX_ADDRESSES) + 40)
    }

    @Test func `Targets without any address are all in the error, which is retried`() throws {
        let server = try server(["gone.test,4002", "lost.test,4002"])
        let resolver = try resolver(port: server.port)
        let error = #expect(throws: CallFailure.self) { try resolver.resolve(call(seconds: 20)) }
        #expect(error?.code == RQD_UNAVAILABLE)
        let origin = "to 127.0.0.1:\(server.port): no such name"
        #expect(error?.message.hasPrefix("no target of the SRV records of _rqlite._tcp") == true)
        #expect(error?.message.contains("A and AAAA of gone.test. \(origin)") == true)
        #expect(error?.message.contains("A and AAAA of lost.test. \(origin)") == true)
    }

    @Test func `A target whose server is silent costs the deadline, not the others`() throws {
        let (descriptor, port) = try Loopback.silentServer()
        defer { close(descriptor) }
        let server = try server(
            ["n1.test,4002", "n3.dead,4002"], options: ["--server=/dead/127.0.0.1#\(port)"])
        let found = try resolver(port: server.port).resolve(call(seconds: 1))
        #expect(found.map(\.host) == ["10.1.0.1"])
        let lines = log.lines.withLock { $0 }
        #expect(lines.contains { $0.contains("n3.dead. to") && $0.hasSuffix("no answer in time") })
    }

    @Test func `A service that says it is not available is told as such`() throws {
        let server = try NameServer(hosts: "", options: ["--srv-host=_rqlite._tcp.db.test"])
        let resolver = try resolver(port: server.port)
        let error = #expect(throws: CallFailure.self) { try resolver.resolve(call(seconds: 20)) }
        #expect(error?.code == RQD_UNAVAILABLE)
        #expect(
            error?.message.hasPrefix(
                "DNS question for SRV of _rqlite._tcp.db.test. to 127.0.0.1:\(server.port): "
                    + "the service is not available there, as its only target is \".\"") == true)
    }

    @Test func `A service that does not exist is told with question and server`() throws {
        let server = try server(["n1.test,4002"])
        let resolver = try resolver(port: server.port, service: "other")
        let error = #expect(throws: CallFailure.self) { try resolver.resolve(call(seconds: 20)) }
        #expect(error?.code == RQD_UNAVAILABLE)
        #expect(
            error?.message
                == "DNS question for SRV of _other._tcp.db.test. to 127.0.0.1:\(server.port): "
                + "no such name")
    }

    @Test func `A name with other records only is told as such`() throws {
        let server = try NameServer(hosts: "", options: ["--txt-record=_rqlite._tcp.db.test,x"])
        let resolver = try resolver(port: server.port)
        let error = #expect(throws: CallFailure.self) { try resolver.resolve(call(seconds: 20)) }
        #expect(error?.code == RQD_UNAVAILABLE)
        #expect(error?.message.hasSuffix("the name has no SRV records") == true)
    }

    @Test func `A dead server costs no more than the deadline`() throws {
        let (descriptor, port) = try Loopback.silentServer()
        defer { close(descriptor) }
        let resolver = try resolver(port: port)
        let call = call(seconds: 0.1)
        let error = #expect(throws: CallFailure.self) { try resolver.resolve(call) }
        #expect(Call.now < call.deadline + 1_000_000_000)
        #expect(error?.code == RQD_TIMEOUT)
        #expect(
            error?.message
                == "DNS question for SRV of _rqlite._tcp.db.test. to 127.0.0.1:\(port): "
                + "no answer in time")
    }

    @Test func `A cancellation ends the question at once`() throws {
        let (descriptor, port) = try Loopback.silentServer()
        defer { close(descriptor) }
        let pipe = Pipe()
        pipe.fileHandleForWriting.write(Data([1]))
        let resolver = try resolver(port: port)
        let call = call(
            seconds: 600, cancelDescriptor: pipe.fileHandleForReading.fileDescriptor)
        let error = #expect(throws: CallFailure.self) { try resolver.resolve(call) }
        #expect(error?.code == RQD_CANCELLED)
    }
}
