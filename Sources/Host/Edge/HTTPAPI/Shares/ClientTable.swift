import Glibc
import NIOCore
import Synchronization

/// The accounts of the clients that are there. Thread-safe; asked once for a connection, and once for each
/// credential that a connection shows behind another one.
final class ClientTable: Sendable {
    /// Who is one client, however many connections it has.
    enum Key: Hashable, Sendable {
        /// All on this machine that come by a socket's file or by the loopback interface.
        case local
        /// An IPv4 address, or the first half of an IPv6 one, for who has one of these has all in it.
        case network([UInt8])
        /// The bytes of the name that the rights judge knows a verified credential by.
        case principal([UInt8])
    }

    private struct Entry {
        weak var account: ClientAccount?
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var lastNumber = 0
        /// At how many entries those of clients that are gone are looked for.
        var sweepSize = ClientTable.leastSweepSize
    }

    private static let leastSweepSize = 1024

    private let state = Mutex(State())

    /// The same as long as anybody holds it, or anything that was taken for it.
    func account(of key: Key) -> ClientAccount {
        state.withLock { state in
            if let known = state.entries[key]?.account { return known }
            if state.entries.count >= state.sweepSize {
                state.entries = state.entries.filter { $0.value.account != nil }
                state.sweepSize = max(Self.leastSweepSize, 2 * state.entries.count)
            }
            state.lastNumber += 1
            let account = ClientAccount(number: state.lastNumber)
            state.entries[key] = Entry(account: account)
            return account
        }
    }

    /// Of clients that are there, and of some that are gone.
    var count: Int { state.withLock { $0.entries.count } }
}

extension ClientTable.Key {
    /// - Parameter address: of the other end of a connection; nil: it has none.
    init(_ address: SocketAddress?) {
        switch address {
        case .v4(let place)?:
            // Behind the family and the port (ip(7)).
            self = .behind(withUnsafeBytes(of: place.address) { Array($0[4..<8]) })
        case .v6(let place)?:
            // Behind the family, the port and the flow (ipv6(7)).
            let bytes = withUnsafeBytes(of: place.address) { Array($0[8..<24]) }
            // An IPv4 address in the form of an IPv6 one (RFC 4291 §2.5.5.2).
            let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 255
            self = .behind(isMapped ? Array(bytes[12...]) : Array(bytes[..<8]))
        case .unixDomainSocket?, nil: self = .local
        }
    }

    /// - Parameter bytes: four, or the first eight of an IPv6 address: of `::1` all are 0.
    private static func behind(_ bytes: [UInt8]) -> Self {
        let isLoopback = bytes.count == 4 ? bytes[0] == 127 : bytes.allSatisfy { $0 == 0 }
        return isLoopback ? .local : .network(bytes)
    }
}
