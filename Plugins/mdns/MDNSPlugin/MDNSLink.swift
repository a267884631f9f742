import Glibc
import PluginABI
import PluginSupport

/// A socket that asks on one interface, in one family, from a port of its own: who answers does so to
/// that port alone, so nothing else on the machine that speaks multicast DNS is in the way.
final class MDNSLink {
    /// Hops that leave the link are none (RFC 6762, section 11).
    private static let hops: Int32 = 255

    let descriptor: Int32
    private let destination: MDNSAddress
    private let interface: UInt32
    private let isMulticast: Bool

    /// - Parameter interface: its number; 0: as the system routes, for a destination that is one machine.
    /// - Throws: why the system refuses.
    init(_ destination: MDNSAddress, interface: UInt32) throws(CallFailure) {
        self.destination = destination
        self.interface = interface
        isMulticast = interface != 0
        descriptor = socket(
            destination.family,
            Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
                | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw Self.failure("socket") }
        // From here on `deinit` closes it.
        guard interface == 0 || chooses() else { throw Self.failure("setsockopt") }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// False: the system refuses, for a reason that `errno` has.
    func send(_ bytes: [UInt8]) -> Bool {
        destination.withSocketAddress(interface: interface) { address, size in
            sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, size) >= 0
        }
    }

    /// What may be an answer among the next `count` datagrams, of which those that others send are some: a flood
    /// of them would hold whoever asks here beyond its deadline.
    func receive(atMost count: Int) -> [[UInt8]] {
        var answers: [[UInt8]] = []
        for _ in 0..<count {
            guard let datagram = MDNSDatagram.receive(from: descriptor) else { break }
            if destination.isAnswered(by: datagram.sender, isMulticast: isMulticast) {
                answers.append(datagram.bytes)
            }
        }
        return answers
    }

    private func chooses() -> Bool {
        var hops = Self.hops
        var loops: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        if destination.family == AF_INET {
            var choice = ip_mreqn()
            choice.imr_ifindex = Int32(bitPattern: interface)
            return setsockopt(
                descriptor, Int32(IPPROTO_IP), IP_MULTICAST_IF, &choice,
                socklen_t(MemoryLayout<ip_mreqn>.size)) == 0
                && setsockopt(descriptor, Int32(IPPROTO_IP), IP_MULTICAST_TTL, &hops, size) == 0
                && setsockopt(descriptor, Int32(IPPROTO_IP), IP_MULTICAST_LOOP, &loops, size) == 0
        }
        var number = Int32(bitPattern: interface)
        return setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_MULTICAST_IF, &number, size) == 0
            && setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_MULTICAST_HOPS, &hops, size) == 0
            && setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_MULTICAST_LOOP, &loops, size) == 0
    }

    private static func failure(_ call: String) -> CallFailure {
        CallFailure(
            RQD_UNAVAILABLE, "multicast DNS: \(call): \(String(cString: strerror(errno)))")
    }
}

/// The interfaces that questions go to.
enum MDNSInterfaces {
    struct Interface: Hashable {
        let name: String
        let number: UInt32
        let family: Int32
    }

    /// In the order of the system.
    /// - Parameter name: empty: all that are up and can do multicast, but loopback.
    static func find(_ name: String) -> [Interface] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var found: [Interface] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let address = entry.ifa_addr, let text = entry.ifa_name else { continue }
            let family = Int32(address.pointee.sa_family)
            let (own, flags) = (String(cString: text), Int(entry.ifa_flags))
            let isWanted =
                name.isEmpty
                ? flags & Int(IFF_MULTICAST) != 0
                    && flags & Int(IFF_LOOPBACK) == 0
                : own == name
            guard isWanted, flags & Int(IFF_UP) != 0,
                family == AF_INET || family == AF_INET6
            else { continue }
            let interface = Interface(
                name: own, number: if_nametoindex(text), family: family)
            if interface.number > 0, !found.contains(interface) { found.append(interface) }
        }
        return found
    }
}
