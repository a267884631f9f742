import Glibc

/// The port that multicast DNS listens at, on one interface in one family, beside whatever else on the machine
/// listens there.
final class MDNSPort {
    private static let number = MDNSAddress.all4.port
    private static let hops: Int32 = 255

    let descriptor: Int32
    /// When all were told here last, on the clock of calls.
    var announcedAt: UInt64 = 0
    private let interface: MDNSInterfaces.Interface
    private let group: MDNSAddress

    /// Nil: the system refuses.
    init?(_ interface: MDNSInterfaces.Interface) {
        self.interface = interface
        group = interface.family == AF_INET ? .all4 : .all6
        descriptor = socket(
            interface.family,
            Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
                | Int32(SOCK_NONBLOCK.rawValue), 0)
        // From here on `deinit` closes it.
        guard descriptor >= 0, shares(), binds(), joins() else { return nil }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// To all. What the system refuses is said again when somebody asks.
    func announce(_ bytes: [UInt8]) {
        _ = group.withSocketAddress(interface: interface.number) { address, size in
            sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, size)
        }
    }

    /// To who sent the datagram, if that one is on the link: nobody else is to be flooded by us.
    func answer(_ bytes: [UInt8], to datagram: MDNSDatagram) {
        var sender = datagram.sender
        _ = withUnsafePointer(to: &sender) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(
                    descriptor, bytes, bytes.count,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTROUTE), $0, datagram.size)
            }
        }
    }

    /// Nil: there is none now.
    func receive() -> MDNSDatagram? { MDNSDatagram.receive(from: descriptor) }

    private func set(_ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
        var value = value
        return setsockopt(
            descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    private func shares() -> Bool {
        set(SOL_SOCKET, SO_REUSEADDR, 1) && set(SOL_SOCKET, SO_REUSEPORT, 1)
            && (interface.family == AF_INET || set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1))
    }

    private func binds() -> Bool {
        if interface.family == AF_INET {
            var any = sockaddr_in()
            any.sin_family = sa_family_t(AF_INET)
            any.sin_port = Self.number.bigEndian
            return binds(&any)
        }
        var any = sockaddr_in6()
        any.sin6_family = sa_family_t(AF_INET6)
        any.sin6_port = Self.number.bigEndian
        return binds(&any)
    }

    private func binds<Address>(_ address: inout Address) -> Bool {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<Address>.size)) == 0
            }
        }
    }

    /// The group on this interface and no other that anybody on the machine has joined.
    private func joins() -> Bool {
        if interface.family == AF_INET {
            var request = ip_mreqn()
            request.imr_multiaddr.s_addr = inet_addr(group.host)
            request.imr_ifindex = Int32(bitPattern: interface.number)
            let size = socklen_t(MemoryLayout<ip_mreqn>.size)
            let level = Int32(IPPROTO_IP)
            return setsockopt(descriptor, level, IP_ADD_MEMBERSHIP, &request, size) == 0
                && setsockopt(descriptor, level, IP_MULTICAST_IF, &request, size) == 0
                && set(level, IP_MULTICAST_ALL, 0) && set(level, IP_MULTICAST_LOOP, 1)
                && set(level, IP_MULTICAST_TTL, Self.hops) && set(level, IP_TTL, Self.hops)
        }
        var request = ipv6_mreq()
        guard inet_pton(AF_INET6, group.host, &request.ipv6mr_multiaddr) == 1 else { return false }
        request.ipv6mr_interface = interface.number
        let level = Int32(IPPROTO_IPV6)
        return setsockopt(
            descriptor, level, IPV6_ADD_MEMBERSHIP, &request,
            socklen_t(MemoryLayout<ipv6_mreq>.size)) == 0
            && set(level, IPV6_MULTICAST_IF, Int32(bitPattern: interface.number))
            && set(level, IPV6_MULTICAST_ALL, 0) && set(level, IPV6_MULTICAST_LOOP, 1)
            && set(level, IPV6_MULTICAST_HOPS, Self.hops)
            && set(level, IPV6_UNICAST_HOPS, Self.hops)
    }
}
