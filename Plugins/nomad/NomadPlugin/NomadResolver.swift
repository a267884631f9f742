import HTTPRequests
package import JSON
import PluginABI
package import PluginSupport
import Synchronization

/// The `nomad` mode: the nodes are what is registered as a service with Nomad itself.
package final class NomadResolver: WatchingResolver {
    /// After an answer that came at once and with the same addresses, in nanoseconds: the index is that of
    /// all services.
    private static let calm: UInt64 = 200_000_000
    /// Before the agent is asked again after a failure: at first, and at most.
    private static let retry: (first: UInt64, most: UInt64) = (500_000_000, 10_000_000_000)

    private let configuration: NomadConfiguration
    private let agent: NomadAgent
    /// Its own, for a wait runs beside other calls.
    private let watched: NomadAgent
    private let lastError = Mutex<String?>(nil)

    package init(
        _ arguments: InstanceArguments, environment: (String) -> String?
    ) throws(CallFailure) {
        configuration = try NomadConfiguration(arguments.config, environment: environment)
        agent = try NomadAgent(configuration)
        watched = try NomadAgent(configuration)
    }

    package func look(_ call: Call) throws(CallFailure) -> (found: [FoundAddress], token: [UInt8]) {
        do throws(CallFailure) {
            let answer = try agent.registrations(call)
            lastError.withLock { $0 = nil }
            return (answer.found, WaitToken(answer).bytes)
        } catch {
            lastError.withLock { $0 = error.message }
            throw error
        }
    }

    /// Blocks at the agent, again and again: an index that went on, or back after a restore, says that
    /// something may have changed.
    package func wait(token: [UInt8], _ call: Call) throws(CallFailure) -> [UInt8]? {
        guard var known = WaitToken(token) else {
            return WaitToken(try watched.registrations(call)).bytes
        }
        var delay = Self.retry.first
        while true {
            let begun = Call.now
            do throws(CallFailure) {
                let answer = try watched.registrations(after: known.index, call)
                guard answer.state == known.state else { return WaitToken(answer).bytes }
                known.index = answer.index
                delay = Self.retry.first
            } catch {
                if error.code == RQD_CANCELLED { throw error }
                if error.code != RQD_TIMEOUT { lastError.withLock { $0 = error.message } }
                try sleep(delay, call)
                delay = min(2 * delay, Self.retry.most)
            }
            if Call.now - begun < Self.calm { try sleep(Self.calm, call) }
        }
    }

    package func describe() -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("address", .string(configuration.server.description)),
            .init("service", .string(configuration.service)),
        ]
        for (name, value) in [
            ("namespace", configuration.namespace), ("region", configuration.region),
        ] where !value.isEmpty {
            members.append(.init(name, .string(value)))
        }
        if let error = lastError.withLock({ $0 }) {
            members.append(.init("last_error", .string(error)))
        }
        return .object(members)
    }

    private func sleep(_ nanoseconds: UInt64, _ call: Call) throws(CallFailure) {
        try call.pause(
            nanoseconds: nanoseconds,
            orSay: "the registrations of \(configuration.service) did not change")
    }
}

/// What a wait continues from: eight bytes that name the addresses, then eight of the index.
private struct WaitToken {
    let state: [UInt8]
    var index: UInt64

    init(_ answer: NomadAgent.Answer) {
        state = answer.state
        index = answer.index
    }

    init?(_ bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        state = Array(bytes[..<8])
        index = bytes[8...].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    var bytes: [UInt8] {
        state + (0..<8).map { UInt8(truncatingIfNeeded: index >> (8 * $0)) }
    }
}
