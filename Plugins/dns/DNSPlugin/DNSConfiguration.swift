import Glibc
package import PluginSupport
import PluginABI

/// What the `dns` mode is told.
///
///     name     host name to resolve; default "rqlite"
///     port     port of every address found; default 0: the asking node's own Raft port
///     servers  name servers to ask, as IP or IP:port; default: the system's
package struct DNSConfiguration: Equatable {
    package var name: String
    package var port: UInt16
    package var servers: [NameServer]

    package struct NameServer: Equatable {
        package let address: String
        package let port: UInt16

        /// As c-ares reads it, and people too.
        package var description: String {
            address.utf8.contains(UInt8(ascii: ":")) ? "[\(address)]:\(port)" : "\(address):\(port)"
        }
    }

    package static let schema = """
        {"type":"object","additionalProperties":false,"properties":{\
        "name":{"type":"string","default":"rqlite"},\
        "port":{"type":"integer","minimum":0,"maximum":65535,"default":0},\
        "servers":{"type":"array","items":{"type":"string"},"default":[]}}}
        """

    package init(
        _ bytes: [UInt8], environment: (String) -> String?
    ) throws(CallFailure) {
        var configuration = try Configuration(bytes, environment: environment)
        name = try configuration.string("name", default: "rqlite")
        port = UInt16(try configuration.integer("port", in: 0...65535))
        servers = []
        for text in try configuration.strings("servers") {
            guard let server = NameServer(text) else {
                throw CallFailure(
                    RQD_CONFIG,
                    "the discovery configuration's member \"servers\" has \"\(text)\", which is "
                        + "neither IP nor IP:port")
            }
            servers.append(server)
        }
        try configuration.finish()
        guard name.utf8.count <= 255, !name.utf8.contains(0) else {
            throw CallFailure(
                RQD_CONFIG, "the discovery configuration's member \"name\" is no host name")
        }
    }
}

extension DNSConfiguration.NameServer {
    /// `10.0.0.53`, `10.0.0.53:5353`, `2001:db8::53`, `[2001:db8::53]:5353`
    init?(_ text: String) {
        if let endpoint = Endpoint(text), endpoint.port > 0, Self.isAddress(endpoint.host) {
            (address, port) = (endpoint.host, endpoint.port)
        } else if Self.isAddress(text) {
            (address, port) = (text, 53)
        } else {
            return nil
        }
    }

    private static func isAddress(_ text: String) -> Bool {
        var four = in_addr()
        var six = in6_addr()
        return inet_pton(AF_INET, text, &four) == 1 || inet_pton(AF_INET6, text, &six) == 1
    }
}

/// `host:port`, an IPv6 address in brackets.
struct Endpoint {
    let host: String
    let port: UInt16

    init?(_ text: String) {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            let port = UInt16(text[text.utf8.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.utf8.contains(UInt8(ascii: ":")) {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.host = String(host)
        self.port = port
    }
}
