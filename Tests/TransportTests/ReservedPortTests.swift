import Glibc
import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Testing

@testable import Transport

/// Ports that a node takes before it touches its disk.
@Suite struct ReservedPortTests {
    @Test func `Nobody else can have a reserved port, and it is free again afterwards`() throws {
        var reserved: ReservedPort? = try ReservedPort(PeerAddress("127.0.0.1:0"))
        let port = try #require(Self.port(of: reserved))
        let address = PeerAddress("127.0.0.1:\(port)")
        #expect(throws: TransportError.self) { try ReservedPort(address) }
        reserved = nil
        #expect(throws: Never.self) { try ReservedPort(address) }
    }

    @Test func `What came before somebody listened is served`() async throws {
        let a = try await TestNode.start("a")
        let reserved = try ReservedPort(PeerAddress("127.0.0.1:0"))
        let port = try #require(Self.port(of: reserved))
        let hello = a.transport.call(
            .hello, at: PeerAddress("127.0.0.1:\(port)"), timeout: .seconds(60))
        let b = try await TestNode.start("b")
        let listener = try await Listener.serve(
            reserved, transport: b.transport, http: { $0.close() }
        ).get()
        #expect(listener.port == port)
        _ = try await hello.get()
        // It is given away once.
        #expect(reserved.take() == nil)
        await #expect(throws: TransportError.self) {
            try await Listener.serve(reserved, transport: b.transport, http: { $0.close() }).get()
        }
        try await listener.close().get()
        try await a.stop()
        try await b.stop()
    }

    @Test(arguments: ["", "nonsense", "127.0.0.1:65536", "no-such-host.invalid:1", "192.0.2.1:1"])
    func `What can't be had is named`(address: String) {
        let error = #expect(throws: TransportError.self) {
            try ReservedPort(PeerAddress(address))
        }
        #expect(error?.description.contains(address) == true)
    }

    /// What the system finds for addresses in numbers, one after the other, as for a name that has all of them.
    private static func found(_ hosts: String...) throws -> UnsafeMutablePointer<addrinfo> {
        var lists: [UnsafeMutablePointer<addrinfo>] = []
        for host in hosts {
            var hints = addrinfo()
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            hints.ai_flags = AI_NUMERICHOST
            var list: UnsafeMutablePointer<addrinfo>?
            try #require(getaddrinfo(host, "0", &hints, &list) == 0)
            lists.append(try #require(list))
        }
        for (list, next) in zip(lists, lists.dropFirst()) { list.pointee.ai_next = next }
        return lists[0]
    }

    @Test func `Of a name's addresses the IPv4 one comes first, as with rqlite`() throws {
        let list = try Self.found("::1", "127.0.0.1")
        defer { freeaddrinfo(list) }
        let families = ReservedPort.ordered(list).map(\.ai_family)
        #expect(families == [AF_INET, AF_INET6])
        let taken = try ReservedPort.listening(
            at: ReservedPort.ordered(list), PeerAddress("both:0"))
        defer { close(taken.descriptor) }
        #expect(taken.numbers == "127.0.0.1")
    }

    /// As with 127.0.1.1 and an address of IPv6 for one name in a file of hosts.
    @Test func `What other machines can't reach comes behind what they reach`() throws {
        let list = try Self.found("127.0.1.1", "fe80::1", "fd00::1", "10.0.0.1")
        defer { freeaddrinfo(list) }
        let families = ReservedPort.ordered(list).map(\.ai_family)
        #expect(families == [AF_INET, AF_INET6, AF_INET, AF_INET6])
        let last = try Self.found("127.0.1.1", "fd00::1")
        defer { freeaddrinfo(last) }
        #expect(ReservedPort.ordered(last).map(\.ai_family) == [AF_INET6, AF_INET])
    }

    @Test func `An address of another machine is passed over, and a port in use is not`() throws {
        let list = try Self.found("192.0.2.1", "127.0.0.1")
        defer { freeaddrinfo(list) }
        let taken = try ReservedPort.listening(
            at: ReservedPort.ordered(list), PeerAddress("two:0"))
        defer { close(taken.descriptor) }
        #expect(taken.numbers == "127.0.0.1")

        let reserved = try ReservedPort(PeerAddress("127.0.0.1:0"))
        let port = try #require(Self.port(of: reserved))
        let other = try Self.found("127.0.0.1", "127.0.0.2")
        defer { freeaddrinfo(other) }
        let infos = ReservedPort.ordered(other)
        for info in infos {
            // The port follows the family, in two bytes (ip(7)).
            UnsafeMutableRawPointer(info.ai_addr).storeBytes(
                of: UInt16(port).bigEndian, toByteOffset: 2, as: UInt16.self)
        }
        #expect(throws: TransportError.self) {
            try ReservedPort.listening(at: infos, PeerAddress("two:\(port)"))
        }
    }

    private static func port(of reserved: ReservedPort?) -> Int? {
        reserved.flatMap { $0.boundPort }
    }
}
