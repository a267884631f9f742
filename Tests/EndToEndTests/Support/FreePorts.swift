import Foundation
import Synchronization

/// Hands out ports that nobody uses now and nobody takes before the node that they are for does:
/// each of them once, and none of those that the kernel gives to outgoing connections.
private enum PortSupply {
    /// `RQLITED_PORTS=FIRST-LAST` is the part that is this process' alone while others run tests beside it.
    static let range =
        part(of: ProcessInfo.processInfo.environment["RQLITED_PORTS"]) ?? 20_000..<32_000
    private static let next = Atomic(Int(getpid()) &* 97)

    static func take() -> Int {
        let number = next.add(1, ordering: .relaxed).oldValue
        return range.lowerBound + number % range.count
    }

    private static func part(of setting: String?) -> Range<Int>? {
        let ends = (setting ?? "").split(separator: "-").compactMap { Int($0) }
        guard ends.count == 2, ends[0] > 0, ends[0] < ends[1], ends[1] < 32_768 else { return nil }
        return ends[0]..<ends[1] + 1
    }
}

/// Ports of the loopback interface that are free now.
func freePorts(_ count: Int, host: String = "127.0.0.1") throws -> [Int] {
    var ports: [Int] = []
    for _ in PortSupply.range where ports.count < count {
        let port = PortSupply.take()
        if isFree(port, host) { ports.append(port) }
    }
    guard ports.count == count else { throw CocoaError(.fileWriteUnknown) }
    return ports
}

private func isFree(_ port: Int, _ host: String) -> Bool {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = inet_addr(host)
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
