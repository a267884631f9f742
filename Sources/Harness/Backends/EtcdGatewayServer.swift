import JSON
import Synchronization

/// The JSON gateway of an etcd with one member, as far as a registry needs it: linearizable ranges of
/// one key or a prefix, puts and deletions, transactions that compare one key and change it, watches,
/// and users.
///
///     POST /v3/kv/range        key, range_end (of a prefix), limit
///     POST /v3/kv/put          key, value
///     POST /v3/kv/deleterange  key
///     POST /v3/kv/txn          compare: any number of CREATE, MOD, VERSION with EQUAL; success and
///                              failure: at most one request each, all of one key
///     POST /v3/watch           create_request: key, start_revision; a stream of lines
///     POST /v3/auth/authenticate  name, password
///
/// What it does not know it refuses. As etcd, it writes 64-bit numbers as strings, bytes as base64, and
/// leaves out what is 0, false or empty; an error is `{"error", "code", "message"}` with gRPC's code.
///
/// Commands: `put KEY VALUE`, `delete KEY`, `wipe`, `get KEY`; `gateway /v3beta`: answers under that
/// prefix alone; `user NAME PASSWORD`: from now on only that one comes in; `expire`: all tokens are
/// gone.
package final class EtcdGatewayServer: HTTPBackend {
    package static let kind = "etcd-kv"

    package let server: FakeHTTPServer
    private let state: EtcdState

    package init() throws(BackendError) {
        let state = EtcdState()
        self.state = state
        server = try FakeHTTPServer { Self.answer($0, $1, state) }
    }

    package func command(_ arguments: [String]) throws(BackendError) -> String {
        let store = state.store
        switch (arguments.first, arguments.count) {
        case ("put", 3): _ = store.write(arguments[1], Array(arguments[2].utf8)) { _ in true }
        case ("delete", 2): _ = store.erase(arguments[1]) { _ in true }
        case ("wipe", 1): store.eraseAll()
        case ("get", 2):
            return store.read(arguments[1]).record.map { String(decoding: $0.value, as: UTF8.self) }
                ?? ""
        case ("gateway", 2): state.prefix = arguments[1]
        case ("user", 3): state.setUser(arguments[1], password: arguments[2])
        case ("expire", 1): state.expireTokens()
        default: throw BackendError("the fake server etcd-kv knows no command \(arguments)")
        }
        return ""
    }

    private static func answer(
        _ request: ReceivedRequest, _ exchange: HTTPExchange, _ state: EtcdState
    ) -> HTTPResponse {
        let prefix = state.prefix + "/"
        guard request.method == "POST", request.path.hasPrefix(prefix) else {
            return HTTPResponse(404, text: "404 page not found\n")
        }
        guard let body = try? JSONValue(parsing: request.body), body.members != nil else {
            return EtcdFault.invalid("the body is no JSON object").response
        }
        do throws(EtcdFault) {
            let path = request.path.dropFirst(prefix.count)
            if path == "auth/authenticate" { return try logIn(body, state) }
            try state.admit(request.header("authorization"))
            let operations = EtcdOperations(store: state.store)
            switch path {
            case "kv/range": return .etcd(try operations.range(body))
            case "kv/put": return .etcd(try operations.put(body), didChange: true)
            case "kv/deleterange": return .etcd(try operations.delete(body), didChange: true)
            case "kv/txn":
                let (answer, didChange) = try operations.transaction(body)
                return .etcd(answer, didChange: didChange)
            case "watch": return try EtcdWatching(store: state.store).response(body)
            default: return HTTPResponse(404, text: "404 page not found\n")
            }
        } catch {
            return error.response
        }
    }

    private static func logIn(
        _ body: JSONValue, _ state: EtcdState
    ) throws(EtcdFault) -> HTTPResponse {
        let token = try state.logIn(body["name"]?.string ?? "", body["password"]?.string ?? "")
        return .etcd([
            .init("header", EtcdOperations(store: state.store).header),
            .init("token", .string(token)),
        ])
    }
}

/// What the handlers of one fake etcd share.
final class EtcdState: Sendable {
    private struct Access {
        var prefix = "/v3"
        var user: (name: String, password: String)?
        /// Given out so far; those up to `expired` are worth nothing.
        var tokens = 0
        var expired = 0
    }

    let store = RegistryRecords()
    private let access = Mutex(Access())

    var prefix: String {
        get { access.withLock { $0.prefix } }
        set { access.withLock { $0.prefix = newValue } }
    }

    func setUser(_ name: String, password: String) {
        access.withLock { $0.user = (name, password) }
    }

    func expireTokens() { access.withLock { $0.expired = $0.tokens } }

    func logIn(_ name: String, _ password: String) throws(EtcdFault) -> String {
        let result = access.withLock { access -> Result<String, EtcdFault> in
            guard let user = access.user else {
                return .failure(
                    EtcdFault(400, grpc: 9, "etcdserver: authentication is not enabled"))
            }
            guard user == (name, password) else {
                return .failure(
                    .invalid("etcdserver: authentication failed, invalid user ID or password"))
            }
            access.tokens += 1
            return .success("token.\(access.tokens)")
        }
        return try result.get()
    }

    func admit(_ token: String?) throws(EtcdFault) {
        let fault = access.withLock { access -> EtcdFault? in
            if access.user == nil { return nil }
            guard let token else { return .invalid("etcdserver: user name is empty") }
            let number = Int(token.dropFirst("token.".count)) ?? 0
            return token.hasPrefix("token.") && number > access.expired && number <= access.tokens
                ? nil : EtcdFault(401, grpc: 16, "etcdserver: invalid auth token")
        }
        if let fault { throw fault }
    }
}

/// An error as the gateway writes it.
struct EtcdFault: Error {
    private let status: Int
    private let grpc: Int
    private let message: String

    init(_ status: Int, grpc: Int, _ message: String) {
        self.status = status
        self.grpc = grpc
        self.message = message
    }

    static func invalid(_ message: String) -> EtcdFault { EtcdFault(400, grpc: 3, message) }

    var response: HTTPResponse {
        let body: JSONValue = [
            "error": .string(message), "code": .integer(grpc), "message": .string(message),
        ]
        return HTTPResponse(status, json: body.text())
    }
}

extension HTTPResponse {
    static func etcd(_ members: [JSONValue.Member], didChange: Bool = false) -> HTTPResponse {
        HTTPResponse(200, json: JSONValue.object(members).text(), didChange: didChange)
    }
}
