package import HTTPRequests
import JSON
import PluginABI
package import PluginSupport

/// What the `consul-kv` mode is told.
///
///     address     HOST:PORT or unix:///PATH of the agent; default 127.0.0.1:8500
///     scheme      "http" or "https"; default "http"
///     datacenter  default: the agent's own
///     basic_auth  {"username", "password"}, for a proxy in front of Consul
///     token       of Consul's access control
///     token_file  a file with the token; counts before `token`
///     namespace   Enterprise
///     partition   Enterprise
///     tls_config  see `ConsulTLS`
///
/// Where the configuration is silent the variables of Consul's own tools count, as documented in
/// developer.hashicorp.com/consul/commands#environment-variables: CONSUL_HTTP_ADDR, CONSUL_HTTP_SSL,
/// CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_AUTH, CONSUL_NAMESPACE, CONSUL_PARTITION,
/// and those of `ConsulTLS`.
package struct ConsulConfiguration {
    package var server: ServerAddress
    package var datacenter: String
    package var namespace: String
    package var partition: String
    package var basicAuth: (username: String, password: String)?
    package var token: ConsulTokenSource
    package var tls: TLSOptions
    /// What the operator should know although it is no error.
    package var notices: [String]

    package static let schema = """
        {"type":"object","additionalProperties":false,"properties":{\
        "address":{"type":"string","default":"127.0.0.1:8500"},\
        "scheme":{"enum":["","http","https"],"default":"http"},\
        "datacenter":{"type":"string"},\
        "basic_auth":{"type":"object","additionalProperties":false,"properties":{\
        "username":{"type":"string"},"password":{"type":"string"}}},\
        "token":{"type":"string"},"token_file":{"type":"string"},\
        "namespace":{"type":"string"},"partition":{"type":"string"},\
        "tls_config":{"type":"object","additionalProperties":false,"properties":{\
        "address":{"type":"string"},"ca_file":{"type":"string"},"ca_path":{"type":"string"},\
        "ca_pem":{"type":"string"},"cert_file":{"type":"string"},"cert_pem":{"type":"string"},\
        "key_file":{"type":"string"},"key_pem":{"type":"string"},\
        "insecure_skip_verify":{"type":"boolean","default":false}}}}}
        """

    package init(
        _ bytes: [UInt8], environment: (String) -> String?
    ) throws(CallFailure) {
        let variables = ConsulEnvironment(environment)
        var configuration = try Configuration(bytes, environment: environment)
        server = try Self.server(&configuration, variables)
        datacenter = try configuration.string("datacenter")
        basicAuth = try Self.basicAuth(&configuration, variables)
        token = try Self.token(&configuration, variables)
        namespace = try configuration.string("namespace", default: variables.text("NAMESPACE"))
        partition = try configuration.string("partition", default: variables.text("PARTITION"))
        let inner = try configuration.object("tls_config") { tls throws(CallFailure) in
            try ConsulTLS(&tls, variables)
        }
        try configuration.finish()
        notices = configuration.notices
        let settings: ConsulTLS
        if let inner { settings = inner } else { settings = try ConsulTLS(variables) }
        tls = try settings.options()
    }

    /// For `/status`: where the records are, and nothing secret.
    func described(below keys: ConsulKeys) -> JSONValue {
        let places = [
            ("address", server.description), ("key", keys.base), ("datacenter", datacenter),
            ("namespace", namespace), ("partition", partition),
        ]
        return .object(
            places.filter { !$0.1.isEmpty }.map { .init($0.0, .string($0.1)) } + [
                .init("token", .bool(!token.token.isEmpty))
            ])
    }

    private static func server(
        _ configuration: inout Configuration, _ variables: ConsulEnvironment
    ) throws(CallFailure) -> ServerAddress {
        let given = try configuration.string("address")
        let scheme = try configuration.string("scheme")
        guard ["", "http", "https"].contains(scheme) else {
            throw configuration.wrong("scheme", "\"http\" or \"https\"")
        }
        let isTLS: Bool
        if scheme.isEmpty {
            isTLS = try variables.bool("HTTP_SSL") ?? false
        } else {
            isTLS = scheme == "https"
        }
        if !given.isEmpty {
            guard !given.hasPrefix("http://"), !given.hasPrefix("https://") else {
                throw configuration.wrong(
                    "address",
                    "HOST:PORT or unix:///PATH without http:// or https://, which is what "
                        + "\"scheme\" is for")
            }
            guard let server = Self.server(given, isTLS: isTLS) else {
                throw configuration.wrong("address", "HOST:PORT or unix:///PATH")
            }
            return server
        }
        let variable = variables.text("HTTP_ADDR")
        guard !variable.isEmpty else {
            return ServerAddress(isTLS: isTLS, host: "127.0.0.1", port: 8500)
        }
        guard var server = Self.server(variable, isTLS: isTLS) else {
            // Not shown, for there may be a password in it.
            throw CallFailure(
                RQD_CONFIG,
                "the variable CONSUL_HTTP_ADDR must be [http://|https://]HOST[:PORT][/PATH] or "
                    + "unix:///PATH")
        }
        // What asks for TLS is not taken back by an address that begins with http://.
        server.isTLS = server.isTLS || isTLS
        return server
    }

    /// Without a port it is the scheme's own, as for Consul's tools.
    private static func server(_ text: String, isTLS: Bool) -> ServerAddress? {
        let isTLS = isTLS || text.hasPrefix("https://")
        return ServerAddress(text, defaultPort: isTLS ? 443 : 80, isTLS: isTLS)
    }

    private static func basicAuth(
        _ configuration: inout Configuration, _ variables: ConsulEnvironment
    ) throws(CallFailure) -> (username: String, password: String)? {
        let given = try configuration.object("basic_auth") { inner throws(CallFailure) in
            let username = try inner.string("username")
            let password = try inner.string("password")
            guard !username.utf8.contains(UInt8(ascii: ":")) else {
                throw inner.wrong("username", "without a colon")
            }
            return (username: username, password: password)
        }
        if let given { return given.username.isEmpty && given.password.isEmpty ? nil : given }
        let variable = variables.text("HTTP_AUTH")
        guard !variable.isEmpty else { return nil }
        let parts = variable.split(
            separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        return (username: String(parts[0]), password: parts.count > 1 ? String(parts[1]) : "")
    }

    private static func token(
        _ configuration: inout Configuration, _ variables: ConsulEnvironment
    ) throws(CallFailure) -> ConsulTokenSource {
        var token = try configuration.string("token")
        var file = try configuration.string("token_file")
        if token.isEmpty, file.isEmpty {
            token = variables.text("HTTP_TOKEN")
            file = variables.text("HTTP_TOKEN_FILE")
        } else if token.isEmpty {
            token = variables.text("HTTP_TOKEN")
        }
        return try ConsulTokenSource(token: token, file: file)
    }
}
