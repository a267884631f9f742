import Glibc
import Testing

@testable import MDNSPlugin

/// A socket that asks, and what comes to it.
@Suite struct MDNSLinkTests {
    /// A socket on loopback at a port of its own, and that port.
    private func socketOnLoopback() throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        try #require(descriptor >= 0)
        var loopback = sockaddr_in()
        loopback.sin_family = sa_family_t(AF_INET)
        loopback.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
        let isBound = withUnsafePointer(to: &loopback) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        try #require(isBound)
        return (descriptor, try port(of: descriptor))
    }

    private func port(of descriptor: Int32) throws -> UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isKnown = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &size) == 0
            }
        }
        try #require(isKnown)
        return UInt16(bigEndian: address.sin_port)
    }

    @Test func `Datagrams of others count as those that were read`() throws {
        let (responder, stranger) = try (socketOnLoopback(), socketOnLoopback())
        defer {
            close(responder.descriptor)
            close(stranger.descriptor)
        }
        let address = try #require(MDNSAddress("127.0.0.1:\(responder.port)"))
        let link = try MDNSLink(address, interface: 0)
        // What it sends first gives it its port.
        #expect(link.send([1]))
        let number = try port(of: link.descriptor)
        let own = try #require(MDNSAddress("127.0.0.1:\(number)"))
        let byte: [UInt8] = [7]
        for sender in [stranger, stranger, stranger, responder] {
            let count = own.withSocketAddress(interface: 0) {
                sendto(sender.descriptor, byte, byte.count, 0, $0, $1)
            }
            #expect(count == 1)
        }
        #expect(link.receive(atMost: 3) == [])
        #expect(link.receive(atMost: 3) == [[7]])
        #expect(link.receive(atMost: 3) == [])
    }
}
