import PeerProtocol
import Raft

/// An address taken apart: `host:port`, IPv6 in brackets.
struct HostPort: Equatable {
    /// Without brackets; empty when the text names none.
    var host: String
    var port: Int

    /// Fails with `invalidAddress`.
    init(_ address: PeerAddress) throws(TransportError) {
        let text = address.rawValue
        func invalid() -> TransportError {
            TransportError(
                .invalidAddress, address: text.isEmpty ? "\"\"" : text,
                cause: "not an address of the form host:port or [IPv6]:port")
        }
        guard let colon = text.lastIndex(of: ":") else { throw invalid() }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }),
            let port = UInt16(digits)
        else { throw invalid() }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]"), host.count > 2 {
            host = host.dropFirst().dropLast()
        } else if host.contains(where: { "[]: \t/".contains($0) }) {
            throw invalid()
        }
        self.host = String(host)
        self.port = Int(port)
    }

    /// The text for a host and a port.
    static func text(host: String, port: Int) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
