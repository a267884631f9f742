package import HTTPRequests
import PluginABI
package import PluginSupport

/// What the `etcd-kv` mode is told. Names in the style of etcd's Go client are rqlite's, `tls` is ours.
///
///     endpoints           HOST:PORT, http://…, https://…, unix://…; default "localhost:2379"
///     username, password  both or neither
///     dial-timeout        for a connection; default 2 s
///     tls                 an object; with one, endpoints without a scheme are spoken to over TLS
///       ca_file, ca_pem       whom to trust instead of the system's authorities
///       cert_file, cert_pem   the client's certificate, with its key
///       key_file, key_pem
///       server_name           what to expect in the server's certificate; or ServerName
///       insecure_skip_verify  believe any server; or InsecureSkipVerify
///
/// `…_pem` is PEM itself, or its base64.
package struct EtcdConfiguration: Sendable {
    static let defaultEndpoint = "localhost:2379"
    static let defaultPort: UInt16 = 2379
    static let maxEndpoints = 64

    package private(set) var endpoints: [ServerAddress] = []
    package private(set) var username: String
    package private(set) var password: String
    package private(set) var notices: [String] = []
    private(set) var http = HTTPClient.Options()

    var hasCredentials: Bool { !username.isEmpty }

    /// Members of rqlite's that are about gRPC, which is not spoken here.
    private static let meaningless = [
        "auto-sync-interval", "dial-keep-alive-time", "dial-keep-alive-timeout",
        "reject-old-cluster", "permit-without-stream", "max-unary-retries",
        "backoff-wait-between", "backoff-jitter-fraction", "MaxCallSendMsgSize",
        "MaxCallRecvMsgSize", "DialOptions", "Context", "Logger", "LogConfig",
    ]

    package static let schema = """
        {"type":"object","properties":{\
        "endpoints":{"type":"array","items":{"type":"string"},"default":["localhost:2379"]},\
        "username":{"type":"string"},"password":{"type":"string"},\
        "dial-timeout":{"type":["string","integer"],"default":"2s"},\
        "tls":\(TLSMembers.schema)}}
        """

    package init(_ bytes: [UInt8], environment: (String) -> String?) throws(CallFailure) {
        var configuration = try Configuration(bytes, environment: environment)
        let names = try configuration.strings("endpoints")
        username = try configuration.string("username")
        password = try configuration.string("password")
        let timeout = try configuration.nanoseconds("dial-timeout")
        if timeout > 0 { http.connectTimeout = timeout }
        let tls = try configuration.object("tls") { tls throws(CallFailure) in
            try TLSMembers.read(&tls)
        }
        configuration.ignore(
            Self.meaningless, because: "it tunes a gRPC client, and this one speaks HTTP")
        try configuration.finish()
        if let tls { http.tls = tls }
        guard username.isEmpty == password.isEmpty else {
            let missing = username.isEmpty ? "username" : "password"
            throw configuration.wrong(missing, "given too: user name and password go together")
        }
        for name in names.isEmpty ? [Self.defaultEndpoint] : names {
            let endpoint = ServerAddress(name, defaultPort: Self.defaultPort, isTLS: tls != nil)
            guard let endpoint else {
                throw configuration.wrong(
                    "endpoints",
                    "a list of HOST:PORT, http://…, https://… or unix://…, without user names, "
                        + "which one of them is not")
            }
            endpoints.append(endpoint)
        }
        guard endpoints.count <= Self.maxEndpoints else {
            throw configuration.wrong("endpoints", "a list of at most \(Self.maxEndpoints)")
        }
        notices = configuration.notices
    }
}
