import HTTPRequests
import JSON
import Notation
import PluginABI
import PluginSupport

/// An agent of Nomad, asked for the registrations of a service. One request at a time.
///
///     GET /v1/service/NAME   namespace, region; index, wait: answers when the index is another one
///
/// The answer is a list, empty for a service that nobody registered, with its index in `X-Nomad-Index`.
/// (developer.hashicorp.com/nomad/api-docs/services, …/api-docs#blocking-queries)
final class NomadAgent: Sendable {
    struct Answer {
        let found: [FoundAddress]
        /// 1 or more; what a blocking query continues from.
        let index: UInt64

        var state: [UInt8] { StateToken.of(addresses: found) }
    }

    /// A registration has about half a KiB.
    private static let answerBytes = 4 << 20
    /// Seconds that a query blocks; Nomad adds a sixteenth at most.
    private static let longestWait: UInt64 = 240

    private let configuration: NomadConfiguration
    private let client: HTTPClient

    init(_ configuration: NomadConfiguration) throws(CallFailure) {
        self.configuration = configuration
        client = try HTTPClient(configuration.http)
    }

    /// - Parameter index: then it waits until another one is there, or four minutes are over.
    func registrations(after index: UInt64? = nil, _ call: Call) throws(CallFailure) -> Answer {
        var request = try request(index)
        request.answerLimit = Self.answerBytes
        var limits = call
        if index != nil {
            let longest = Self.longestWait + Self.longestWait / 16 + 10
            limits = call.limited(nanoseconds: longest * 1_000_000_000)
        }
        let answer: HTTPAnswer
        do throws(HTTPFailure) {
            answer = try client.send(request, to: configuration.server, limits)
        } catch {
            throw error.cause
        }
        guard answer.status == 200 else { throw refusal(answer, request) }
        guard let new = answer.header("x-nomad-index").flatMap({ UInt64($0) }) else {
            throw strange(answer, request, "without an index: this is no agent of Nomad")
        }
        guard let services = (try? JSONValue(parsing: answer.body))?.array else {
            throw strange(answer, request, "which is no list of services")
        }
        var found: [FoundAddress] = []
        for service in services {
            guard let host = service["Address"]?.string, !host.isEmpty,
                let number = service["Port"]?.integer, let port = UInt16(exactly: number)
            else { throw strange(answer, request, "with a service that has no address and port") }
            let tags = service["Tags"]?.array?.compactMap(\.string) ?? []
            guard configuration.tags.allSatisfy(tags.contains) else { continue }
            let allocation = service["AllocID"]?.string ?? ""
            found.append(
                FoundAddress(
                    host: host, port: port, timeToLive: 0,
                    source: "service \(configuration.service)"
                        + (allocation.isEmpty ? "" : ", allocation \(allocation)")))
        }
        // Zero would not block at all.
        return Answer(found: found, index: max(new, 1))
    }

    private func request(_ index: UInt64?) throws(CallFailure) -> HTTPRequest {
        var parameters: [(name: String, value: String)] = []
        if !configuration.namespace.isEmpty {
            parameters.append(("namespace", configuration.namespace))
        }
        if !configuration.region.isEmpty { parameters.append(("region", configuration.region)) }
        if let index {
            parameters += [("index", "\(index)"), ("wait", "\(Self.longestWait)s")]
        }
        let path = "/v1/service/\(PercentEncoding.encode(configuration.service))"
        var request = HTTPRequest("GET", path + PercentEncoding.query(parameters))
        request.headers = [.init("Accept", "application/json")]
        if let secret = try configuration.secret() {
            request.headers.append(.init("X-Nomad-Token", secret, isSecret: true))
        }
        return request
    }

    private func refusal(_ answer: HTTPAnswer, _ request: HTTPRequest) -> CallFailure {
        // By number: Nomad says 403 for a token that it doesn't know, too.
        let hint =
            answer.status == 403
            ? "the token needs read-job in the namespace"
            : nil
        return client.failure(answer, to: request, from: configuration.server, saying: hint)
    }

    private func strange(
        _ answer: HTTPAnswer, _ request: HTTPRequest, _ what: String
    ) -> CallFailure {
        client.failure(
            answer, to: request, from: configuration.server, code: RQD_PROTOCOL, saying: what)
    }
}
