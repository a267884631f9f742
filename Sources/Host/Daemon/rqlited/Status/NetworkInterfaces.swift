import Glibc
import JSON

/// The machine's network interfaces, as rqlite's `/status` lists them.
enum NetworkInterfaces {
    private struct Interface {
        var flags: UInt32 = 0
        var addresses: [String] = []
    }

    /// An object per interface; empty if the system doesn't tell.
    static func document() -> JSONValue {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return .object([]) }
        defer { freeifaddrs(first) }
        var found: [String: Interface] = [:]
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            let name = String(cString: entry.ifa_name)
            found[name, default: Interface()].flags = entry.ifa_flags
            if let address = address(entry) { found[name]?.addresses.append(address) }
        }
        return .object(
            found.sorted { $0.key < $1.key }.map { name, interface in
                .init(
                    name,
                    .object([
                        .init("addresses", addresses(interface)),
                        .init("flags", .string(flags(interface.flags))),
                        .init("hardware_address", .string(hardwareAddress(of: name))),
                    ]))
            })
    }

    private static func addresses(_ interface: Interface) -> JSONValue {
        guard !interface.addresses.isEmpty else { return .null }
        return .array(interface.addresses.map { .object([.init("address", .string($0))]) })
    }

    /// With the length of its prefix: `127.0.0.1/8`. Nil for what is no address of IP.
    private static func address(_ entry: ifaddrs) -> String? {
        guard let address = entry.ifa_addr else { return nil }
        let family = Int32(address.pointee.sa_family)
        guard family == AF_INET || family == AF_INET6 else { return nil }
        let size =
            family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        guard
            getnameinfo(
                address, socklen_t(size), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
        else { return nil }
        // The scope of a link's own addresses is the interface.
        let plain = text.map { UInt8(bitPattern: $0) }.prefix { $0 != 0 && $0 != UInt8(ascii: "%") }
        return
            "\(String(decoding: plain, as: UTF8.self))/\(prefixLength(entry.ifa_netmask, family))"
    }

    private static func prefixLength(
        _ mask: UnsafeMutablePointer<sockaddr>?, _ family: Int32
    ) -> Int {
        guard let mask else { return family == AF_INET ? 32 : 128 }
        let raw = UnsafeRawPointer(mask)
        // Where the address stands in `sockaddr_in` and `sockaddr_in6`.
        let range = family == AF_INET ? 4..<8 : 8..<24
        return range.reduce(0) {
            $0 + raw.load(fromByteOffset: $1, as: UInt8.self).nonzeroBitCount
        }
    }

    private static let names: [(bit: UInt32, name: String)] = [
        (0x1, "up"), (0x2, "broadcast"), (0x8, "loopback"), (0x10, "pointtopoint"),
        (0x1000, "multicast"), (0x40, "running"),
    ]

    /// By the bits of Linux' `netdevice(7)`.
    private static func flags(_ bits: UInt32) -> String {
        names.filter { bits & $0.bit != 0 }.map(\.name).joined(separator: "|")
    }

    /// Empty where all of it is 0, as that of the loopback.
    private static func hardwareAddress(of name: String) -> String {
        guard let file = fopen("/sys/class/net/\(name)/address", "re") else { return "" }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 128)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else { return "" }
        let bytes = buffer.prefix { $0 > 32 }.map { UInt8(bitPattern: $0) }
        let text = String(decoding: bytes, as: UTF8.self)
        return text.allSatisfy { $0 == "0" || $0 == ":" } ? "" : text
    }
}
