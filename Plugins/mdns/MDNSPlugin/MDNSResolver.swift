package import JSON
import PluginABI
package import PluginSupport

/// The `mdns` mode: the nodes are what is announced as a service on the link (RFC 6762, RFC 6763), by the
/// machines' own responders.
package final class MDNSResolver: WatchingResolver {
    private let configuration: MDNSConfiguration

    package init(
        _ arguments: InstanceArguments, environment: (String) -> String?
    ) throws(CallFailure) {
        configuration = try MDNSConfiguration(arguments.config, environment: environment)
    }

    package func look(_ call: Call) throws(CallFailure) -> (found: [FoundAddress], token: [UInt8]) {
        var query = MDNSQuery(configuration)
        let found = try query.run(call)
        return (found, StateToken.of(addresses: found))
    }

    /// Asks again and again. Silence is no change: what was found stays true until somebody answers
    /// otherwise.
    package func wait(token: [UInt8], _ call: Call) throws(CallFailure) -> [UInt8]? {
        if token.isEmpty { return try look(call).token }
        while true {
            do throws(CallFailure) {
                let state = try look(call).token
                if state != token { return state }
            } catch {
                if error.code == RQD_CANCELLED { throw error }
            }
            try call.pause(
                nanoseconds: configuration.interval,
                orSay: "nobody else announced \(configuration.service)")
        }
    }

    package func describe() -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("service", .string(configuration.service.description))
        ]
        if !configuration.interface.isEmpty {
            members.append(.init("interface", .string(configuration.interface)))
        }
        if let responder = configuration.responder {
            members.append(.init("responder", .string(responder.description)))
        }
        return .object(members)
    }
}
