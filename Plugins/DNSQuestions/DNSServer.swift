import Glibc
package import JSON
import PluginABI
package import PluginSupport

/// A name server to ask, as a configuration's member `servers` lists them.
package struct DNSServer: Equatable {
    package let address: String
    package let port: UInt16

    /// `10.0.0.53`, `10.0.0.53:5353`, `2001:db8::53`, `[2001:db8::53]:5353`
    package init?(_ text: String) {
        if let endpoint = Endpoint(text), endpoint.port > 0, Self.isAddress(endpoint.host) {
            (address, port) = (endpoint.host, endpoint.port)
        } else if Self.isAddress(text) {
            (address, port) = (text, 53)
        } else {
            return nil
        }
    }

    /// As c-ares reads it, and people too.
    package var description: String {
        address.utf8.contains(UInt8(ascii: ":")) ? "[\(address)]:\(port)" : "\(address):\(port)"
    }

    /// The member `servers`; empty: the system's.
    package static func list(
        in configuration: inout Configuration
    ) throws(CallFailure) -> [DNSServer] {
        var servers: [DNSServer] = []
        for text in try configuration.strings("servers") {
            guard let server = DNSServer(text) else {
                throw CallFailure(
                    RQD_CONFIG,
                    "the discovery configuration's member \"servers\" has \"\(text)\", which is "
                        + "neither IP nor IP:port")
            }
            servers.append(server)
        }
        return servers
    }

    /// For `/status`: nothing where the system's are asked.
    package static func status(of servers: [DNSServer]) -> [JSONValue.Member] {
        if servers.isEmpty { return [] }
        return [.init("servers", .array(servers.map { .string($0.description) }))]
    }

    private static func isAddress(_ text: String) -> Bool {
        var address = [UInt8](repeating: 0, count: 16)
        return [AF_INET, AF_INET6].contains { inet_pton($0, text, &address) == 1 }
    }
}
