import DNSQuestions
package import JSON
import PluginABI
package import PluginSupport

/// The `dns` mode: every A and AAAA record of one name, asked anew on each call.
///
/// `RQLITE_DISCO_DNS_HOSTS`, a comma-separated list of host:port, takes the place of all DNS; it is
/// meant for tests.
package final class DNSResolver: Resolver {
    private static let override = "RQLITE_DISCO_DNS_HOSTS"

    private let configuration: DNSConfiguration
    private let fixed: [FoundAddress]?
    private let log: HostLog
    private var lastSeen: [String]?

    package init(
        _ arguments: InstanceArguments, log: HostLog, environment: (String) -> String?
    ) throws(CallFailure) {
        configuration = try DNSConfiguration(arguments.config, environment: environment)
        fixed = try environment(Self.override).map(Self.parse)
        self.log = log
    }

    package func resolve(_ call: Call) throws(CallFailure) -> [FoundAddress] {
        if let fixed { return fixed }
        let question = AddressQuestion(
            names: [configuration.name], servers: configuration.servers)
        let found = try question.ask(call)[0].get().map { record in
            FoundAddress(
                host: record.address, port: configuration.port, timeToLive: record.timeToLive,
                source: record.source)
        }
        let seen = found.map(\.host).sorted()
        if seen != lastSeen {
            log(.info, "\(configuration.name) has the addresses \(seen.joined(separator: ", "))")
            lastSeen = seen
        }
        return found
    }

    package func describe() -> JSONValue {
        .object(
            [
                .init("name", .string(configuration.name)),
                .init("port", .integer(configuration.port)),
            ] + DNSServer.status(of: configuration.servers))
    }

    private static func parse(_ list: String) throws(CallFailure) -> [FoundAddress] {
        var found: [FoundAddress] = []
        for entry in list.split(separator: ",", omittingEmptySubsequences: false) {
            guard let endpoint = Endpoint(String(entry)) else {
                throw CallFailure(RQD_CONFIG, "\(override): invalid address \(entry)")
            }
            found.append(
                FoundAddress(
                    host: endpoint.host, port: endpoint.port, timeToLive: 0, source: override))
        }
        return found
    }
}
