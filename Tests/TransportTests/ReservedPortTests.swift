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

    private static func port(of reserved: ReservedPort?) -> Int? {
        reserved.flatMap { $0.boundPort }
    }
}
