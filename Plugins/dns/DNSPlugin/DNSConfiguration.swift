package import DNSQuestions
import PluginABI
package import PluginSupport

/// What the `dns` mode is told.
///
///     name     host name to resolve; default "rqlite"
///     port     port of every address found; default 0: the asking node's own Raft port
///     servers  name servers to ask, as IP or IP:port; default: the system's
package struct DNSConfiguration: Equatable {
    package var name: String
    package var port: UInt16
    package var servers: [DNSServer]

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
        servers = try DNSServer.list(in: &configuration)
        try configuration.finish()
        guard name.utf8.count <= 255, !name.utf8.contains(0) else {
            throw CallFailure(
                RQD_CONFIG, "the discovery configuration's member \"name\" is no host name")
        }
    }
}
