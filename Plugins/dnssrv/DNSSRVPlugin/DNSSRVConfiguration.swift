package import DNSQuestions
import PluginABI
package import PluginSupport

/// What the `dns-srv` mode is told.
///
///     name     domain that offers the service; default "rqlite"
///     service  the service's label, without its underscore; default "rqlite"
///     servers  name servers to ask, as IP or IP:port; default: the system's
package struct DNSSRVConfiguration: Equatable {
    package var name: String
    package var service: String
    package var servers: [DNSServer]

    package static let schema = """
        {"type":"object","additionalProperties":false,"properties":{\
        "name":{"type":"string","default":"rqlite"},\
        "service":{"type":"string","default":"rqlite"},\
        "servers":{"type":"array","items":{"type":"string"},"default":[]}}}
        """

    package init(
        _ bytes: [UInt8], environment: (String) -> String?
    ) throws(CallFailure) {
        var configuration = try Configuration(bytes, environment: environment)
        name = try configuration.string("name", default: "rqlite")
        service = try configuration.string("service", default: "rqlite")
        servers = try DNSServer.list(in: &configuration)
        try configuration.finish()
        guard Self.isLabel(service) else {
            throw CallFailure(
                RQD_CONFIG,
                "the discovery configuration's member \"service\" must be one label without its "
                    + "underscore, as in _LABEL._tcp.NAME, of at most 62 bytes")
        }
        guard question.utf8.count <= 255, !name.utf8.contains(0) else {
            throw CallFailure(
                RQD_CONFIG, "the discovery configuration's member \"name\" is no domain name")
        }
    }

    /// The name whose SRV records are asked for.
    package var question: String { "_\(service)._tcp.\(name)" }

    /// With its underscore a label has at most 63 bytes.
    private static func isLabel(_ text: String) -> Bool {
        text.utf8.count <= 62 && !text.hasPrefix("_")
            && !text.utf8.contains { $0 == 0 || $0 == UInt8(ascii: ".") }
    }
}
