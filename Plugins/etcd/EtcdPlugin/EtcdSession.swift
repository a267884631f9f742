import HTTPRequests
import JSON
import PluginSupport
import Synchronization

/// What the gateways of one instance have learnt of the servers: whom to ask, by which prefix, and
/// with which token. They may run at the same time: all of it is behind a lock, and no IO is done
/// under it.
final class EtcdSession: Sendable {
    /// The gateway's path by etcd's version: 3.4 and later, 3.3, 3.2 and before.
    static let prefixes = ["/v3", "/v3beta", "/v3alpha"]

    enum Credentials: Equatable {
        /// None were given, or the server has no use for them.
        case none
        /// A new token is needed.
        case wanted
        case token(String)
    }

    private struct State {
        /// Index of the endpoint to ask first.
        var current = 0
        /// The one that answered last.
        var answered: Int?
        /// By endpoint; index of the prefix that it answered to.
        var prefix: [Int?]
        var credentials: Credentials
        var lastError: String?
    }

    let configuration: EtcdConfiguration
    private let log: HostLog
    private let state: Mutex<State>

    init(_ configuration: EtcdConfiguration, log: HostLog) {
        self.configuration = configuration
        self.log = log
        state = Mutex(
            State(
                prefix: configuration.endpoints.map { _ in nil },
                credentials: configuration.hasCredentials ? .wanted : .none))
    }

    /// All endpoints, the one to ask first in front.
    func order() -> [Int] {
        let count = configuration.endpoints.count
        let current = state.withLock { $0.current }
        return (0..<count).map { (current + $0) % count }
    }

    /// All prefixes, the one to try first in front.
    func prefixes(of endpoint: Int) -> [String] {
        let known = state.withLock { $0.prefix[endpoint] } ?? 0
        return [Self.prefixes[known]] + Self.prefixes.filter { $0 != Self.prefixes[known] }
    }

    var credentials: Credentials { state.withLock { $0.credentials } }

    func answered(_ endpoint: Int, prefix: String) {
        let isNew = state.withLock { state in
            let isNew = state.answered != endpoint
            state.answered = endpoint
            state.current = endpoint
            state.prefix[endpoint] = Self.prefixes.firstIndex(of: prefix)
            return isNew
        }
        if isNew { log(.info, "etcd answers at \(configuration.endpoints[endpoint])") }
    }

    /// The next call begins elsewhere.
    func failed(_ endpoint: Int) {
        state.withLock { state in
            guard state.current == endpoint else { return }
            state.current = (endpoint + 1) % configuration.endpoints.count
        }
    }

    func authenticated(_ token: String) { state.withLock { $0.credentials = .token(token) } }

    func authenticationIsOff(_ endpoint: Int) {
        let isNew = state.withLock { state in
            defer { state.credentials = .none }
            return state.credentials != .none
        }
        guard isNew else { return }
        log(
            .warning,
            "\(configuration.endpoints[endpoint]) has authentication off; user name and password "
                + "are not used")
    }

    /// The server refused these credentials. What the other gateway got meanwhile stays.
    func refused(_ used: Credentials) {
        state.withLock { state in
            if state.credentials == used, configuration.hasCredentials {
                state.credentials = .wanted
            }
        }
    }

    func ended(_ error: CallFailure?) { state.withLock { $0.lastError = error?.message } }

    func describe() -> JSONValue {
        let (current, prefix, error) = state.withLock {
            ($0.current, $0.prefix[$0.current], $0.lastError)
        }
        let endpoints = configuration.endpoints.map(\.description)
        var members: [JSONValue.Member] = [
            .init("endpoints", .array(endpoints.map { .string($0) })),
            .init("endpoint", .string(endpoints[current])),
        ]
        if let prefix { members.append(.init("gateway", .string(Self.prefixes[prefix]))) }
        if configuration.hasCredentials {
            members.append(.init("username", .string(configuration.username)))
        }
        if let error { members.append(.init("last_error", .string(error))) }
        return .object(members)
    }
}
