import HTTPRequests
import JSON
import PluginABI
import PluginSupport

/// Carries operations to etcd's JSON gateway, by one endpoint or another. One operation at a time.
///
/// An operation that may not be repeated goes to one server only: to another just while no byte of it
/// was sent, or when the first one is known not to have carried it out.
final class EtcdGateway: Sendable {
    /// The least time for one of several endpoints, in nanoseconds.
    private static let leastAttempt: UInt64 = 1_000_000_000

    private let session: EtcdSession
    private let client: HTTPClient

    init(_ session: EtcdSession) throws(CallFailure) {
        self.session = session
        client = try HTTPClient(session.configuration.http)
    }

    /// Returns the answer of the first endpoint that has one.
    func perform(_ operation: EtcdOperation, _ call: Call) throws(CallFailure) -> EtcdAnswer {
        var failures: [CallFailure] = []
        let order = session.order()
        for (position, endpoint) in order.enumerated() {
            let attempt = Self.attempt(
                call, isRepeatable: operation.isRepeatable, left: order.count - position)
            do throws(Failure) {
                let answer = try ask(endpoint, operation, attempt)
                session.ended(nil)
                return answer
            } catch {
                if error.cause.code != RQD_CANCELLED { session.failed(endpoint) }
                failures.append(error.cause)
                if error.isFinal || Call.now >= call.deadline { break }
            }
        }
        let last = failures.last?.code ?? RQD_INTERNAL
        let texts = failures.map(\.message).joined(separator: "; ")
        let failure = CallFailure(last, texts).prefixed(operation.purpose)
        if failure.code != RQD_CANCELLED { session.ended(failure) }
        throw failure
    }

    /// Hands out the messages of a stream until `receive` returns false; the stream of the endpoint
    /// that answered last.
    func follow(
        _ operation: EtcdOperation, _ call: Call, receive: @escaping (JSONValue) -> Bool
    ) throws(CallFailure) {
        do throws(Failure) {
            let endpoint = session.order()[0]
            var lines = JSONLines()
            var isEnded = false
            let credentials = session.credentials
            let request = Self.request(
                operation, session.prefixes(of: endpoint)[0], credentials)
            let answer = try send(request, endpoint) { (server) throws(HTTPFailure) in
                try self.client.stream(request, to: server, call) { piece in
                    isEnded = !lines.take(piece).allSatisfy(receive)
                    return !isEnded && !lines.isBroken
                }
            }
            if answer.status != 200 {
                if EtcdRefusal(answer).asksForToken { session.refused(credentials) }
                throw refusal(answer, request, endpoint)
            }
            if !isEnded {
                let what = lines.isBroken ? "a line that is no JSON" : "the stream ended"
                throw Failure(
                    client.failure(
                        answer, to: request, from: session.configuration.endpoints[endpoint],
                        code: lines.isBroken ? RQD_PROTOCOL : RQD_UNAVAILABLE, saying: what),
                    isFinal: true)
            }
        } catch {
            let failure = error.cause.prefixed(operation.purpose)
            if failure.code != RQD_TIMEOUT, failure.code != RQD_CANCELLED {
                session.ended(failure)
            }
            throw failure
        }
    }
}

/// One endpoint.
extension EtcdGateway {
    /// Why an endpoint is of no use.
    private struct Failure: Error {
        let cause: CallFailure
        /// Another must not be asked, or would say the same.
        let isFinal: Bool

        init(_ cause: CallFailure, isFinal: Bool) {
            self.cause = cause
            self.isFinal = isFinal
        }
    }

    /// A silent server must leave time for the others, but for what can go to one only.
    private static func attempt(_ call: Call, isRepeatable: Bool, left: Int) -> Call {
        let now = Call.now
        guard isRepeatable, left > 1, call.deadline > now else { return call }
        return call.limited(
            nanoseconds: max((call.deadline - now) / UInt64(left), leastAttempt))
    }

    /// By the prefix that the endpoint knows, with a token where one is needed.
    private func ask(
        _ endpoint: Int, _ operation: EtcdOperation, _ call: Call
    ) throws(Failure) -> EtcdAnswer {
        var last: CallFailure?
        for prefix in session.prefixes(of: endpoint) {
            // The second time with a new token.
            for isLast in [false, true] {
                if session.credentials == .wanted {
                    if let failure = try logIn(endpoint, prefix, call) {
                        last = failure
                        break
                    }
                }
                let credentials = session.credentials
                let request = Self.request(operation, prefix, credentials)
                let answer = try send(request, endpoint) { server throws(HTTPFailure) in
                    try self.client.send(request, to: server, call)
                }
                if answer.status == 200 {
                    let read = try read(answer, to: request, from: endpoint)
                    session.answered(endpoint, prefix: prefix)
                    return read
                }
                let refusal = EtcdRefusal(answer)
                if refusal.isUnknownPath {
                    last = noGateway(answer, request, endpoint)
                    break
                }
                if refusal.asksForToken {
                    session.refused(credentials)
                    if !isLast, session.configuration.hasCredentials { continue }
                }
                throw self.refusal(answer, request, endpoint)
            }
        }
        throw Failure(last ?? CallFailure(RQD_INTERNAL, "no prefix was tried"), isFinal: false)
    }

    /// Returns why the prefix is wrong, if it is.
    private func logIn(
        _ endpoint: Int, _ prefix: String, _ call: Call
    ) throws(Failure) -> CallFailure? {
        let configuration = session.configuration
        let operation = EtcdOperation.authenticate(
            configuration.username, configuration.password)
        let request = Self.request(operation, prefix, .none)
        let answer = try send(request, endpoint) { server throws(HTTPFailure) in
            try self.client.send(request, to: server, call)
        }
        if answer.status == 200 {
            let value = try? JSONValue(parsing: answer.body)
            // It goes into a header of ours.
            guard let token = value?["token"]?.string, !token.isEmpty,
                token.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
            else {
                throw Failure(
                    client.failure(
                        answer, to: request, from: configuration.endpoints[endpoint],
                        code: RQD_PROTOCOL, saying: "no token that a header can bear"),
                    isFinal: false)
            }
            session.authenticated(token)
            return nil
        }
        let refusal = EtcdRefusal(answer)
        if refusal.isUnknownPath { return noGateway(answer, request, endpoint) }
        guard refusal.saysAuthenticationIsOff else {
            throw self.refusal(answer, request, endpoint)
        }
        session.authenticationIsOff(endpoint)
        return nil
    }
}

/// One request.
extension EtcdGateway {
    private static func request(
        _ operation: EtcdOperation, _ prefix: String, _ credentials: EtcdSession.Credentials
    ) -> HTTPRequest {
        var body: [UInt8] = []
        operation.body.write(to: &body)
        var request = HTTPRequest(
            "POST", prefix + operation.path, headers: [.init("Content-Type", "application/json")],
            body: body)
        if case .token(let token) = credentials {
            request.headers.append(.init("Authorization", token, isSecret: true))
        }
        request.isRepeatable = operation.isRepeatable
        request.answerLimit = operation.answerLimit
        request.secrets = operation.secrets
        return request
    }

    private func send(
        _ request: HTTPRequest, _ endpoint: Int,
        _ body: (ServerAddress) throws(HTTPFailure) -> HTTPAnswer
    ) throws(Failure) -> HTTPAnswer {
        do throws(HTTPFailure) {
            return try body(session.configuration.endpoints[endpoint])
        } catch {
            let isLost = error.mayHaveArrived && !request.isRepeatable
            throw Failure(error.cause, isFinal: isLost || error.cause.code == RQD_CANCELLED)
        }
    }

    private func read(
        _ answer: HTTPAnswer, to request: HTTPRequest, from endpoint: Int
    ) throws(Failure) -> EtcdAnswer {
        if let value = try? JSONValue(parsing: answer.body), let read = EtcdAnswer(value) {
            return read
        }
        throw Failure(
            client.failure(
                answer, to: request, from: session.configuration.endpoints[endpoint],
                code: RQD_PROTOCOL, saying: "which is no answer of etcd's"),
            isFinal: !request.isRepeatable)
    }

    private func refusal(
        _ answer: HTTPAnswer, _ request: HTTPRequest, _ endpoint: Int
    ) -> Failure {
        let code = EtcdRefusal(answer).code
        return Failure(
            client.failure(
                answer, to: request, from: session.configuration.endpoints[endpoint], code: code),
            isFinal: code == RQD_AUTH || !request.isRepeatable)
    }

    private func noGateway(
        _ answer: HTTPAnswer, _ request: HTTPRequest, _ endpoint: Int
    ) -> CallFailure {
        client.failure(
            answer, to: request, from: session.configuration.endpoints[endpoint],
            code: RQD_PROTOCOL,
            saying:
                "as at the gateway's other paths (\(EtcdSession.prefixes.joined(separator: ", "))"
                + "); is this etcd, and its option --enable-grpc-gateway on?")
    }
}

extension CallFailure {
    fileprivate func prefixed(_ purpose: String) -> CallFailure {
        CallFailure(code, "\(purpose): \(message)")
    }
}
