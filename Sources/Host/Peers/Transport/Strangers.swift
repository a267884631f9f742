import Glibc
import NIOCore

/// Accepted connections that have not shown what they are: nothing was said, hands are not shaken, or no
/// node was introduced. Anybody can open these, so there may be few from one place and few at all; where
/// one comes too many, the one of its place goes that has waited longest. Who is what he should be shows it
/// in milliseconds, and so is hardly ever the one who goes.
struct Strangers {
    /// An IPv4 address, or the first half of an IPv6 one, for who has one of these has all in it; empty for
    /// what has no address.
    typealias Origin = [UInt8]

    private struct Stranger {
        var channel: any Channel
        var origin: Origin
    }

    /// At all, and of one origin.
    private let most: Int
    private let mostOfOrigin: Int
    private var strangers: [ObjectIdentifier: Stranger] = [:]
    /// Those of each origin, who came first in front. None is empty.
    private var lines: [Origin: [ObjectIdentifier]] = [:]

    /// - Parameters:
    ///   - most: there may be at all; above 0.
    ///   - mostOfOrigin: of one origin.
    init(most: Int, mostOfOrigin: Int) {
        self.most = most
        self.mostOfOrigin = mostOfOrigin
    }

    var count: Int { strangers.count }

    var channels: [any Channel] { strangers.values.map(\.channel) }

    /// - Returns: who must go for that, to be closed; not under a lock, for closing calls back.
    mutating func add(_ channel: any Channel) -> (any Channel)? {
        let key = ObjectIdentifier(channel)
        guard strangers[key] == nil else { return nil }
        let origin = Self.origin(channel.remoteAddress)
        var gone: (any Channel)?
        if lines[origin]?.count ?? 0 >= mostOfOrigin {
            gone = removeOldest(of: origin)
        } else if strangers.count >= most {
            gone = removeOldest()
        }
        strangers[key] = Stranger(channel: channel, origin: origin)
        lines[origin, default: []].append(key)
        return gone
    }

    mutating func remove(_ channel: any Channel) {
        let key = ObjectIdentifier(channel)
        guard let stranger = strangers.removeValue(forKey: key) else { return }
        lines[stranger.origin]?.removeAll { $0 == key }
        if lines[stranger.origin]?.isEmpty == true { lines[stranger.origin] = nil }
    }

    /// Of the origin with the most.
    mutating func removeOldest() -> (any Channel)? {
        lines.max { $0.value.count < $1.value.count }.flatMap { removeOldest(of: $0.key) }
    }

    private mutating func removeOldest(of origin: Origin) -> (any Channel)? {
        guard let key = lines[origin]?.first, let stranger = strangers[key] else { return nil }
        remove(stranger.channel)
        return stranger.channel
    }

    static func origin(_ address: SocketAddress?) -> Origin {
        guard let host = address?.ipAddress else { return [] }
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, host, &bytes) == 1 { return Array(bytes[..<4]) }
        guard inet_pton(AF_INET6, host, &bytes) == 1 else { return Array(host.utf8) }
        let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 255
        return isMapped ? Array(bytes[12...]) : Array(bytes[..<8])
    }
}
