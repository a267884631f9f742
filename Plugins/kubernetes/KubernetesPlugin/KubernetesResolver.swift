import HTTPRequests
package import JSON
import PluginABI
package import PluginSupport
import Synchronization

/// The `kubernetes` mode: the nodes are the endpoints of a service, as the API server has them in
/// EndpointSlices.
package final class KubernetesResolver: WatchingResolver {
    /// After a list that was asked for in vain, in nanoseconds: slices change for other reasons too.
    private static let calm: UInt64 = 500_000_000
    /// Before the server is asked again after a failure: at first, and at most.
    private static let retry: (first: UInt64, most: UInt64) = (500_000_000, 10_000_000_000)
    /// For one list of a wait.
    private static let longestList: UInt64 = 10_000_000_000

    private let configuration: KubernetesConfiguration
    private let server: KubernetesServer
    /// Its own, for a wait runs beside other calls.
    private let watched: KubernetesServer
    private let lastError = Mutex<String?>(nil)

    /// - Parameter account: the folder of the service account; other ones are for tests.
    package init(
        _ arguments: InstanceArguments, account: String = KubernetesConfiguration.account,
        environment: (String) -> String?
    ) throws(CallFailure) {
        configuration = try KubernetesConfiguration(
            arguments.config, account: account, environment: environment)
        server = try KubernetesServer(configuration)
        watched = try KubernetesServer(configuration)
    }

    package func look(_ call: Call) throws(CallFailure) -> (found: [FoundAddress], token: [UInt8]) {
        do throws(CallFailure) {
            let list = try server.list(call)
            lastError.withLock { $0 = nil }
            return (list.found, WatchToken(list).bytes)
        } catch {
            lastError.withLock { $0 = error.message }
            throw error
        }
    }

    /// Watches, and lists after each change: the endpoints may be the same. What can't be watched, by
    /// rights or for other reasons, is listed again and again, with pauses.
    package func wait(token: [UInt8], _ call: Call) throws(CallFailure) -> [UInt8]? {
        guard var known = WatchToken(token) else {
            return WatchToken(try watched.list(call)).bytes
        }
        var delay = Self.retry.first
        while true {
            var pause: UInt64 = 0
            do throws(CallFailure) {
                let begun = Call.now
                let end: KubernetesServer.Watched =
                    try known.version.isEmpty
                    ? .changed : watched.watch(from: known.version, call)
                switch end {
                case .quiet(let version):
                    known.version = version
                    // A server, or what stands before it, that ends watches at once.
                    if Call.now - begun < Self.calm { pause = delay }
                case .changed:
                    let list = try watched.list(call.limited(nanoseconds: Self.longestList))
                    guard list.state == known.state else { return WatchToken(list).bytes }
                    known.version = list.version
                    // There is nothing to watch from without a version: then it is listed now and then.
                    pause = known.version.isEmpty ? Self.retry.most : Self.calm
                }
                if pause != delay { delay = Self.retry.first }
            } catch {
                if error.code == RQD_CANCELLED { throw error }
                let isLate = error.code == RQD_TIMEOUT
                if !isLate { lastError.withLock { $0 = error.message } }
                try sleep(delay, call)
                delay = min(2 * delay, Self.retry.most)
                if let list = try listAgain(call) {
                    guard list.state == known.state else { return WatchToken(list).bytes }
                    known.version = list.version
                }
            }
            if pause > 0 { try sleep(pause, call) }
        }
    }

    package func describe() -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("server", .string(configuration.server.description)),
            .init("namespace", .string(configuration.namespace)),
            .init("selector", .string(configuration.selector)),
        ]
        if configuration.portName.isEmpty {
            members.append(.init("port", .integer(configuration.port)))
        } else {
            members.append(.init("port_name", .string(configuration.portName)))
        }
        if let error = lastError.withLock({ $0 }) {
            members.append(.init("last_error", .string(error)))
        }
        return .object(members)
    }

    /// Nil: that failed, too.
    private func listAgain(_ call: Call) throws(CallFailure) -> KubernetesServer.List? {
        do throws(CallFailure) {
            return try watched.list(call.limited(nanoseconds: Self.longestList))
        } catch {
            if error.code == RQD_CANCELLED { throw error }
            return nil
        }
    }

    private func sleep(_ nanoseconds: UInt64, _ call: Call) throws(CallFailure) {
        try call.pause(
            nanoseconds: nanoseconds,
            orSay: "the endpoints of \(configuration.selector) did not change")
    }
}

/// What a wait continues from: eight bytes that name the addresses, then the list's version.
private struct WatchToken {
    private static let longestVersion = Int(RQD_MAX_TOKEN) - 8

    let state: [UInt8]
    /// Empty: not known.
    var version: String

    init(_ list: KubernetesServer.List) {
        state = list.state
        version = list.version
    }

    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 8, let version = String(validating: bytes[8...], as: UTF8.self) else {
            return nil
        }
        state = Array(bytes[..<8])
        self.version = version
    }

    /// A version too long to be kept is left out; a wait begins with a list then.
    var bytes: [UInt8] {
        version.utf8.count > Self.longestVersion ? state : state + Array(version.utf8)
    }
}
