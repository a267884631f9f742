import NIOCore
import Testing

@testable import Transport

/// Whom the first record of TLS tells of.
@Suite struct ClientHelloTests {
    private static func counted(_ size: Int, _ bytes: [UInt8]) -> [UInt8] {
        (0..<size).reversed().map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) } + bytes
    }

    /// Of who wants a host, and offers protocols.
    private func hello(to host: String, _ protocols: String...) -> ByteBuffer {
        let hosts = Self.counted(2, [0] + Self.counted(2, Array(host.utf8)))
        var extensions: [UInt8] = [0, 0]
        extensions += Self.counted(2, hosts)
        extensions += [0, 16]
        let offered = protocols.flatMap { Self.counted(1, Array($0.utf8)) }
        extensions += Self.counted(2, Self.counted(2, offered))
        var fields: [UInt8] = [3, 3]
        fields += [UInt8](repeating: 7, count: 32)
        fields += Self.counted(1, [])
        fields += Self.counted(2, [0x13, 1])
        fields += Self.counted(1, [0])
        fields += Self.counted(2, extensions)
        var record: [UInt8] = [0x16, 3, 1]
        record += Self.counted(2, [1] + Self.counted(3, fields))
        return ByteBuffer(bytes: record)
    }

    @Test func `Who wants a host with the name of the nodes' protocol is a client all the same`() {
        let node = TransportSecurity.nodeProtocol
        #expect(ClientHello.speaker(in: hello(to: node, "h2", "http/1.1")) == .client)
        #expect(ClientHello.speaker(in: hello(to: node)) == .client)
        #expect(ClientHello.speaker(in: hello(to: "a", node)) == .node)
        #expect(ClientHello.speaker(in: hello(to: node, "h2", node)) == .node)
        // More must come to tell.
        let whole = hello(to: "a", node)
        let some = whole.getSlice(at: 0, length: whole.readableBytes - 1) ?? whole
        #expect(ClientHello.speaker(in: some) == .unknown)
        // What is no hello.
        let name = Self.counted(1, Array(node.utf8))
        let strange = ByteBuffer(bytes: [0x16, 3, 1] + Self.counted(2, name))
        #expect(ClientHello.speaker(in: strange) == .node)
    }
}
