import Glibc
import PluginSupport

/// An IP address and a port, as sockets take them.
package struct MDNSAddress: Equatable, Sendable, CustomStringConvertible {
    /// Where all that speak multicast DNS listen (RFC 6762, section 3).
    static let all4 = MDNSAddress(host: "224.0.0.251", port: 5353)
    static let all6 = MDNSAddress(host: "ff02::fb", port: 5353)

    let host: String
    let port: UInt16

    private init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Of `IP:PORT`, an IPv6 address in brackets; nil for anything else.
    package init?(_ text: String) {
        guard let (host, port) = AddressLines.endpoint(text), let port else { return nil }
        self.init(host: host, port: port)
        guard four != nil || six != nil else { return nil }
    }

    var family: Int32 { four == nil ? AF_INET6 : AF_INET }

    package var description: String { four == nil ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// - Parameter interface: its number, for addresses that each link has.
    func withSocketAddress<Result>(
        interface: UInt32, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        if let four {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr = four
            return Self.lend(&address, body)
        }
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        address.sin6_addr = six ?? in6_addr()
        address.sin6_scope_id = interface
        return Self.lend(&address, body)
    }

    /// Whether a datagram from there may be an answer: to what went to all, from whoever speaks multicast
    /// DNS; to what went to one, from that one.
    func isAnswered(by sender: sockaddr_storage, isMulticast: Bool) -> Bool {
        guard Int32(sender.ss_family) == family else { return false }
        var sender = sender
        return withUnsafeBytes(of: &sender) { bytes in
            let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
            guard port == self.port else { return false }
            if isMulticast { return true }
            if var four {
                return withUnsafeBytes(of: &four) { $0.elementsEqual(bytes[4..<8]) }
            }
            var six = six ?? in6_addr()
            return withUnsafeBytes(of: &six) { $0.elementsEqual(bytes[8..<24]) }
        }
    }

    private var four: in_addr? {
        var address = in_addr()
        return inet_pton(AF_INET, host, &address) == 1 ? address : nil
    }

    private var six: in6_addr? {
        var address = in6_addr()
        return inet_pton(AF_INET6, host, &address) == 1 ? address : nil
    }

    private static func lend<Address, Result>(
        _ address: inout Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }
}
