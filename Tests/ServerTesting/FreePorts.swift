import Foundation
import Synchronization

/// Ports for servers and nodes: each is handed out once, nobody uses it now, and it is none of those that the kernel
/// gives to outgoing connections. One of these could be taken before the server has it, or while it is stopped.
package enum FreePorts {
    package struct NoneLeft: Error {}

    /// `RQLITED_PORTS=FIRST-LAST` is the part that is this process' alone while others run tests beside it.
    private static let range =
        part(of: ProcessInfo.processInfo.environment["RQLITED_PORTS"]) ?? 20_000..<32_000
    private static let next = Atomic(Int(getpid()) &* 97)

    /// - Parameter host: an address of the loopback interface.
    package static func take(_ count: Int, host: String = "127.0.0.1") throws -> [Int] {
        var ports: [Int] = []
        for _ in range where ports.count < count {
            let number = next.add(1, ordering: .relaxed).oldValue
            let port = range.lowerBound + number % range.count
            if isFree(port, host) { ports.append(port) }
        }
        guard ports.count == count else { throw NoneLeft() }
        return ports
    }

    private static func part(of setting: String?) -> Range<Int>? {
        let ends = (setting ?? "").split(separator: "-").compactMap { Int($0) }
        guard ends.count == 2, ends[0] > 0, ends[0] < ends[1], ends[1] < 32_768 else { return nil }
        return ends[0]..<ends[1] + 1
    }

    private static func isFree(_ port: Int, _ host: String) -> Bool {
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
}
