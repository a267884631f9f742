package import Raft

/// Where other machines find this node: its advertised address in numbers, with its two ports. Many
/// systems have their own host's name at an address of loopback in `/etc/hosts` (Debian's 127.0.1.1),
/// where nobody listens, or others than on the other machines. There it means this node.
package struct OwnPlace: Equatable, Sendable {
    /// An IPv6 address in brackets.
    private let host: String
    private let ports: [String]

    /// Nil where nothing can be said: a name is advertised, or loopback is, as on one machine.
    /// - Parameters:
    ///   - address: as the node advertises it to nodes.
    ///   - apiURL: as it advertises it to clients.
    package init?(_ address: PeerAddress, apiURL: String) {
        let text = address.rawValue
        guard address.nameAndPort == nil, let colon = text.utf8.lastIndex(of: UInt8(ascii: ":"))
        else { return nil }
        let host = String(text[..<colon])
        let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        guard !bare.isEmpty, !Self.isLoopback(bare) else { return nil }
        self.host = host
        let url = apiURL.utf8.lastIndex(of: UInt8(ascii: ":"))
        let api = url.map { String(apiURL[apiURL.index(after: $0)...]) }
        ports = [String(text[text.index(after: colon)...])] + (api.map { [$0] } ?? [])
    }

    /// This node's address, if the name led to this machine by loopback, at one of its ports. `localhost`
    /// says itself what it means.
    func address(of name: String, leadingTo found: String, port: String) -> PeerAddress? {
        guard Self.isLoopback(found), ports.contains(port), name != "localhost" else { return nil }
        return PeerAddress("\(host):\(port)")
    }

    private static func isLoopback(_ address: String) -> Bool {
        address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.")
    }
}
