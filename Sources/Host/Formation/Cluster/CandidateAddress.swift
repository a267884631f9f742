package import Raft

/// One address at which a candidate may be, with the listed name that leads to it; or a listed name
/// that leads nowhere yet.
package struct CandidateAddress: Equatable, Sendable {
    /// Why a name has no address.
    package enum Gap: Hashable, Sendable {
        /// Nobody has answered yet. Since when it is asked for, on the formation's clock.
        case waiting(since: Duration)
        /// Who should know could not be asked, in words; since when.
        case failed(String, since: Duration)
        /// It does not exist, or has no address: that is an answer.
        case unknown

        var isWaiting: Bool { if case .waiting = self { true } else { false } }

        func counted(from start: Duration) -> Gap {
            switch self {
            case .waiting(let since): .waiting(since: since - start)
            case .failed(let text, let since): .failed(text, since: since - start)
            case .unknown: .unknown
            }
        }

        /// Nobody knows how many nodes the name stands for.
        var isOpen: Bool { self != .unknown }
    }

    /// What is dialed: `host:port`. With a gap, the entry as it was listed; nobody is dialed there.
    package let address: PeerAddress
    /// The entry of the list that was looked up; nil for an address that was listed as one.
    package let name: PeerAddress?
    /// Nil where there is an address.
    package let gap: Gap?

    package init(_ address: PeerAddress, name: PeerAddress? = nil) {
        self.address = address
        self.name = name
        gap = nil
    }

    /// A listed name without addresses.
    package init(unresolved name: PeerAddress, _ gap: Gap) {
        address = name
        self.name = name
        self.gap = gap
    }
}

extension PeerAddress {
    /// The host's name and the port's text, where the host is a name and not an address.
    package var nameAndPort: (name: String, port: String)? {
        let text = rawValue
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return nil }
        let host = text[..<colon]
        guard !host.isEmpty, host.first != "[", !host.utf8.contains(UInt8(ascii: ":")),
            !Self.isNumeric(host)
        else { return nil }
        return (String(host), String(text[text.index(after: colon)...]))
    }

    /// Four numbers with dots between them.
    private static func isNumeric(_ host: Substring) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                part.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8(part) != nil
            }
    }

    /// IPv6, as far as the text tells.
    var isVersion6: Bool { rawValue.utf8.first == UInt8(ascii: "[") }
}
