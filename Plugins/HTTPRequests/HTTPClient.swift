import CCurl
import Glibc
package import PluginABI
package import PluginSupport
import Synchronization

/// Sends requests to the servers of a registry, over libcurl.
///
/// - Every request ends by its call's deadline or cancellation. (libcurl asks the system's resolver on
///   a thread of its own, which may outlive the request by the resolver's own time limit.)
/// - Redirects are answers like others; nothing is sent to a server that was not named.
/// - Connections are kept and used again. One client serves one request at a time, from any thread;
///   a second one at the same time is refused, so calls that run side by side need a client each.
/// - Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`); see `HTTPProxy`.
/// - No error shows a secret: neither those of the client nor those that a request marks.
package final class HTTPClient: Sendable {
    package struct Options: Sendable {
        package var tls = TLSOptions()
        /// Basic authentication (RFC 7617).
        package var basicAuth: (username: String, password: String)?
        /// Nanoseconds for name, connection and TLS together; the call's deadline may be nearer.
        package var connectTimeout: UInt64 = 2_000_000_000

        package init() {}
    }

    private let options: Options
    private let pool: Mutex<ConnectionPool>

    package init(_ options: Options) throws(CallFailure) {
        self.options = options
        pool = Mutex(try ConnectionPool())
    }

    /// Throws only if there is no whole answer; any status is an answer.
    package func send(
        _ request: HTTPRequest, to server: ServerAddress, _ call: Call
    ) throws(HTTPFailure) -> HTTPAnswer {
        try perform(request, server, call, stream: nil)
    }

    /// Hands out the body of an answer with status 200 as it comes, until it ends or `receive` returns
    /// false. The body of any other answer is collected.
    package func stream(
        _ request: HTTPRequest, to server: ServerAddress, _ call: Call,
        receive: @escaping ([UInt8]) -> Bool
    ) throws(HTTPFailure) -> HTTPAnswer {
        try perform(request, server, call, stream: receive)
    }

    /// The error for an answer that is not what was hoped for: it shows the status and the beginning
    /// of the body.
    /// - Parameter code: by the status, if none is given.
    package func failure(
        _ answer: HTTPAnswer, to request: HTTPRequest, from server: ServerAddress,
        code: rqd_code? = nil, saying what: String? = nil
    ) -> CallFailure {
        let excerpt = Excerpt.make(of: answer.body, without: secrets(of: request))
        let text =
            "status \(answer.status)" + (what.map { ", \($0)" } ?? "")
            + (excerpt.isEmpty ? " and an empty body" : ": \(excerpt)")
        return failure(code ?? Self.code(status: answer.status), request, server, text)
    }

    private static func code(status: Int) -> rqd_code {
        switch status {
        case 401, 403, 407: RQD_AUTH
        case 408, 429, 500...: RQD_UNAVAILABLE
        default: RQD_PROTOCOL
        }
    }

    private func perform(
        _ request: HTTPRequest, _ server: ServerAddress, _ call: Call,
        stream: (([UInt8]) -> Bool)?
    ) throws(HTTPFailure) -> HTTPAnswer {
        // libcurl's resolver thread inherits the mask: signals are the host's business.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        do throws(TransferFailure) {
            let answer = try pool.withLockIfAvailable { pool throws(TransferFailure) in
                let transfer = try Transfer(request, to: server, options, stream: stream)
                return try pool.run(transfer, call)
            }
            guard let answer else {
                throw TransferFailure(RQD_INTERNAL, "the client is at work for another call")
            }
            return answer
        } catch {
            throw HTTPFailure(
                failure(error.code, request, server, error.what),
                mayHaveArrived: error.mayHaveArrived)
        }
    }

    private func failure(
        _ code: rqd_code, _ request: HTTPRequest, _ server: ServerAddress, _ what: String
    ) -> CallFailure {
        CallFailure(code, "\(server): \(request.method) \(request.shownTarget): \(what)")
    }

    private func secrets(of request: HTTPRequest) -> [String] {
        var secrets = request.secrets + request.headers.filter(\.isSecret).map(\.value)
        if let (username, password) = options.basicAuth {
            secrets += [password, Base64.encode(Array("\(username):\(password)".utf8))]
        }
        return secrets
    }
}
