/// A fake Consul: of its HTTP API (developer.hashicorp.com/consul/api-docs) the keys and transactions,
/// without sessions.
///
///     GET /v1/kv/KEY       [?recurse] [?raw] [?keys] [?index=N&wait=10s]; 404 with X-Consul-Index
///     PUT /v1/kv/KEY       [?cas=N] [?flags=N]; true or false
///     DELETE /v1/kv/KEY    [?cas=N] [?recurse]; true or false
///     PUT /v1/txn          operations of kind KV; 409 if one of them fails
///
/// Tokens, datacenters, namespaces and consistency modes are taken for granted.
///
/// Commands: `put KEY VALUE`, `delete KEY`, `wipe`, `get KEY`.
package final class ConsulServer: HTTPBackend {
    package static let kind = "consul-kv"

    private let api: ConsulAPI
    package let server: FakeHTTPServer

    package init() throws(BackendError) {
        let api = ConsulAPI()
        self.api = api
        server = try FakeHTTPServer { api.answer($0, $1) }
    }

    package func command(_ arguments: [String]) throws(BackendError) -> String {
        switch (arguments.first, arguments.count) {
        case ("put", 3):
            api.force(.set(arguments[1], Array(arguments[2].utf8), flags: 0, index: nil))
        case ("delete", 2): api.force(.delete(arguments[1], index: nil))
        case ("wipe", 1): api.wipe()
        case ("get", 2):
            return api.value(arguments[1]).map { String(decoding: $0, as: UTF8.self) } ?? ""
        default:
            throw BackendError("the fake server \(Self.kind) knows no command \(arguments)")
        }
        return ""
    }
}
