import HTTPRequests
import Notation
import PluginABI
import PluginSupport

/// The agent of Consul that is asked, with what goes along with every request: token, datacenter,
/// namespace and partition. One request at a time.
struct ConsulAgent: Sendable {
    /// A request and what came back.
    struct Exchange {
        let request: HTTPRequest
        let answer: HTTPAnswer
    }

    /// As a query has it: names in the order of the alphabet.
    typealias Parameters = [(name: String, value: String)]

    private let client: HTTPClient
    private let configuration: ConsulConfiguration

    init(_ configuration: ConsulConfiguration) throws(CallFailure) {
        self.configuration = configuration
        var options = HTTPClient.Options()
        options.tls = configuration.tls
        options.basicAuth = configuration.basicAuth
        client = try HTTPClient(options)
    }

    func get(
        _ path: String, _ parameters: Parameters, limit: Int, _ call: Call
    ) throws(CallFailure) -> Exchange {
        var request = HTTPRequest("GET", target(path, parameters))
        request.answerLimit = limit
        return try send(request, call)
    }

    /// Sent once: nobody can say what became of a transaction that was sent again.
    func transact(
        _ transaction: ConsulTransaction, _ call: Call
    ) throws(CallFailure) -> Exchange {
        let body = transaction.body(
            namespace: configuration.namespace, partition: configuration.partition)
        var request = HTTPRequest("PUT", target("/v1/txn", []), body: body)
        request.headers = [.init("Content-Type", "application/json")]
        request.isRepeatable = false
        return try send(request, call)
    }

    func failure(
        _ exchange: Exchange, code: rqd_code? = nil, saying what: String? = nil
    ) -> CallFailure {
        client.failure(
            exchange.answer, to: exchange.request, from: configuration.server, code: code,
            saying: what)
    }

    /// A refused request was not carried out, so it may be sent again with another token.
    private func send(_ request: HTTPRequest, _ call: Call) throws(CallFailure) -> Exchange {
        let token = configuration.token.token
        let first = try send(request, token, call)
        guard Self.isRefused(first.answer) else { return first }
        let other: String?
        do {
            other = try configuration.token.other(than: token)
        } catch {
            throw failure(first, code: RQD_AUTH, saying: error.message)
        }
        return if let other { try send(request, other, call) } else { first }
    }

    private func send(
        _ request: HTTPRequest, _ token: String, _ call: Call
    ) throws(CallFailure) -> Exchange {
        var request = request
        if !token.isEmpty {
            request.headers.append(.init("X-Consul-Token", token, isSecret: true))
        }
        do {
            let answer = try client.send(request, to: configuration.server, call)
            return Exchange(request: request, answer: answer)
        } catch {
            throw error.cause
        }
    }

    /// Consul refuses an operation of a transaction in the words that it refuses a request with, but
    /// under status 409, as if there were a conflict.
    static func isRefused(_ answer: HTTPAnswer) -> Bool {
        switch answer.status {
        case 403: return true
        case 409:
            do {
                return try ConsulAnswer.refusals(of: answer).contains {
                    $0.contains("Permission denied") || $0.contains("ACL not found")
                }
            } catch {
                return false
            }
        default: return false
        }
    }

    private func target(_ path: String, _ parameters: Parameters) -> String {
        let common = [
            (name: "dc", value: configuration.datacenter),
            (name: "ns", value: configuration.namespace),
            (name: "partition", value: configuration.partition),
        ]
        let all = common.filter { !$0.value.isEmpty } + parameters
        let query = all.sorted { $0.name < $1.name }
            .map { "\($0.name)=\(PercentEncoding.encode($0.value))" }
        return path + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
    }
}
