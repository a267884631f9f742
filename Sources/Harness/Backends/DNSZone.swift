import Glibc
import Synchronization

/// What the fake name server knows.
final class DNSZone: Sendable {
    enum Data: Equatable, Sendable {
        case address4([UInt8])
        case address6([UInt8])
        case pointer(String)
        case service(priority: UInt16, weight: UInt16, port: UInt16, target: String)

        /// The number of its type (RFC 1035, 3596, 2782).
        var type: UInt16 {
            switch self {
            case .address4: 1
            case .pointer: 12
            case .address6: 28
            case .service: 33
            }
        }
    }

    private struct Entry {
        let name: String
        let data: Data
    }

    private let entries = Mutex<[Entry]>([])

    /// Nil when there is no such name at all.
    func answers(to name: String, type: UInt16) -> [Data]? {
        let name = Self.normal(name)
        let found = entries.withLock { $0.filter { $0.name == name } }
        return found.isEmpty ? nil : found.map(\.data).filter { $0.type == type }
    }

    func clear() { entries.withLock { $0 = [] } }

    /// `a NAME IP`, `aaaa NAME IP`, `ptr NAME TARGET`, `srv NAME PRIORITY WEIGHT PORT TARGET`, `remove NAME`, `wipe`
    func command(_ arguments: [String]) throws(BackendError) {
        switch (arguments.first, arguments.count) {
        case ("wipe", 1): clear()
        case ("remove", 2):
            let name = Self.normal(arguments[1])
            entries.withLock { $0.removeAll { $0.name == name } }
        case ("a", 3): add(arguments[1], .address4(try Self.address(AF_INET, arguments[2])))
        case ("aaaa", 3): add(arguments[1], .address6(try Self.address(AF_INET6, arguments[2])))
        case ("ptr", 3): add(arguments[1], .pointer(arguments[2]))
        case ("srv", 6):
            guard let priority = UInt16(arguments[2]), let weight = UInt16(arguments[3]),
                let port = UInt16(arguments[4])
            else { throw BackendError("srv: NAME PRIORITY WEIGHT PORT TARGET, not \(arguments)") }
            add(
                arguments[1],
                .service(priority: priority, weight: weight, port: port, target: arguments[5]))
        default: throw BackendError("the fake server dns knows no command \(arguments)")
        }
    }

    private func add(_ name: String, _ data: Data) {
        entries.withLock { $0.append(Entry(name: Self.normal(name), data: data)) }
    }

    private static func address(_ family: Int32, _ text: String) throws(BackendError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: family == AF_INET ? 4 : 16)
        guard inet_pton(family, text, &bytes) == 1 else {
            throw BackendError("\(text) is no IP address of the kind asked for")
        }
        return bytes
    }

    private static func normal(_ name: String) -> String {
        let name = name.lowercased()
        return name.hasSuffix(".") ? String(name.dropLast()) : name
    }
}
