package import JSON
import PluginABI
package import PluginSupport

/// The `http` mode: the nodes stand in a JSON document that a server gives.
package final class HTTPResolver: WatchingResolver {
    /// For one look of a wait, in nanoseconds: a server that is silent must not hold up the next look.
    private static let longestLook: UInt64 = 10_000_000_000

    private let configuration: HTTPConfiguration
    private let source: DocumentSource
    /// Its own, for a wait runs beside other calls.
    private let watched: DocumentSource

    package init(
        _ arguments: InstanceArguments, environment: (String) -> String?
    ) throws(CallFailure) {
        configuration = try HTTPConfiguration(arguments.config, environment: environment)
        source = try DocumentSource(configuration)
        watched = try DocumentSource(configuration)
    }

    package func look(_ call: Call) throws(CallFailure) -> (found: [FoundAddress], token: [UInt8]) {
        let found = try source.addresses(call)
        return (found, StateToken.of(addresses: found))
    }

    /// Looks again and again. A look that fails is no change: what was found stays true until the
    /// document says otherwise, and `look` tells what is wrong.
    package func wait(token: [UInt8], _ call: Call) throws(CallFailure) -> [UInt8]? {
        while true {
            do throws(CallFailure) {
                let state = StateToken.of(
                    addresses:
                        try watched.addresses(call.limited(nanoseconds: Self.longestLook)))
                if state != token { return state }
            } catch {
                if error.code == RQD_CANCELLED { throw error }
            }
            try call.pause(
                nanoseconds: configuration.interval,
                orSay: "\(configuration.server) gave no other addresses")
        }
    }

    package func describe() -> JSONValue {
        // The query may hold secrets.
        let path = configuration.target.prefix { $0 != "?" }
        return .object([
            .init("url", .string("\(configuration.server)\(path)")),
            .init("pointer", .string(configuration.list.description)),
            .init("port", .integer(configuration.port)),
        ])
    }
}
