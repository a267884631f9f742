package import HTTPRequests
import PluginABI
package import PluginSupport

/// What the `kubernetes` mode is told.
///
///     service     name of the service whose EndpointSlices are read
///     selector    label selector for slices instead, or in addition: "app=rqlite,zone in (a,b)"
///     namespace   default: that of the pod's service account
///     port_name   name of the port in the slices
///     port        the port where no name is given; default 0: the asking node's own Raft port
///     server      https://HOST[:PORT] of the API server; default: that of the cluster the pod is in
///     token_file  bearer token; default: that of the pod's service account
///     ca_file     whom to trust; default: the authority of the pod's service account
///
/// Token and authority are read at each request, for Kubernetes replaces them.
package struct KubernetesConfiguration: Sendable {
    /// Where a pod finds its service account.
    package static let account = "/var/run/secrets/kubernetes.io/serviceaccount"
    /// Bytes of a token.
    static let longestToken = 65_536
    /// Bytes of all certificates.
    static let longestAuthority = 1 << 20

    package private(set) var server: ServerAddress
    package private(set) var namespace: String
    /// As the API takes it.
    package private(set) var selector: String
    package private(set) var portName: String
    package private(set) var port: UInt16
    private var tokenFile: String?
    private var authorityFile: String?
    /// The folder of the pod's service account.
    private let account: String

    package static let schema = """
        {"type":"object","additionalProperties":false,"properties":{\
        "service":{"type":"string"},"selector":{"type":"string"},"namespace":{"type":"string"},\
        "port_name":{"type":"string"},\
        "port":{"type":"integer","minimum":0,"maximum":65535,"default":0},\
        "server":{"type":"string"},"token_file":{"type":"string"},"ca_file":{"type":"string"}}}
        """

    /// - Parameter account: the folder of the service account; other ones are for tests.
    package init(
        _ bytes: [UInt8], account: String = Self.account, environment: (String) -> String?
    ) throws(CallFailure) {
        self.account = account
        var configuration = try Configuration(bytes, environment: environment)
        let service = try configuration.string("service")
        let given = try configuration.string("selector")
        let namespace = try configuration.string("namespace")
        portName = try configuration.string("port_name")
        port = UInt16(try configuration.integer("port", in: 0...65535))
        let server = try configuration.string("server")
        let tokenFile = try configuration.string("token_file")
        let authorityFile = try configuration.string("ca_file")
        try configuration.finish()
        self.tokenFile = tokenFile.isEmpty ? nil : tokenFile
        self.authorityFile = authorityFile.isEmpty ? nil : authorityFile
        guard !service.isEmpty || !given.isEmpty else {
            throw configuration.wrong(
                "service", "given, or \"selector\": the service whose EndpointSlices name the nodes"
            )
        }
        guard service.isEmpty || Self.isName(service) else {
            throw configuration.wrong("service", "the name of a service: [a-z0-9-]")
        }
        guard portName.isEmpty || port == 0 else {
            throw configuration.wrong("port", "left out where port_name is given")
        }
        let own = service.isEmpty ? [] : ["kubernetes.io/service-name=\(service)"]
        selector = (own + (given.isEmpty ? [] : [given])).joined(separator: ",")
        for (name, path) in [("token_file", tokenFile), ("ca_file", authorityFile)] {
            guard path.isEmpty || path.hasPrefix("/") else {
                throw configuration.wrong(name, "the absolute path of a file")
            }
        }
        self.server = try Self.server(server, &configuration, environment)
        self.namespace = try Self.namespace(namespace, &configuration, account)
    }

    /// - Parameter given: empty: the one that Kubernetes names in every container's environment.
    private static func server(
        _ given: String, _ configuration: inout Configuration, _ environment: (String) -> String?
    ) throws(CallFailure) -> ServerAddress {
        if !given.isEmpty {
            let isTLS = given.hasPrefix("https://")
            guard isTLS || given.hasPrefix("http://"),
                let server = ServerAddress(given, defaultPort: isTLS ? 443 : 80, isTLS: isTLS)
            else { throw configuration.wrong("server", "https://HOST[:PORT]") }
            return server
        }
        let host = environment("KUBERNETES_SERVICE_HOST") ?? "kubernetes.default.svc"
        let port = environment("KUBERNETES_SERVICE_PORT").flatMap { UInt16($0) } ?? 443
        return ServerAddress(isTLS: true, host: host, port: port)
    }

    private static func namespace(
        _ given: String, _ configuration: inout Configuration, _ account: String
    ) throws(CallFailure) -> String {
        var namespace = given
        if namespace.isEmpty {
            let path = "\(account)/namespace"
            do {
                namespace = try SmallFile(path).line(limit: 256)
            } catch {
                throw configuration.wrong(
                    "namespace",
                    "given where there is no service account: \(path): \(error.what)")
            }
        }
        guard isName(namespace) else {
            throw configuration.wrong("namespace", "the name of a namespace: [a-z0-9-]")
        }
        return namespace
    }

    /// RFC 1123, as Kubernetes names namespaces and services: a label of DNS in small letters.
    private static func isName(_ text: String) -> Bool {
        (1...63).contains(text.utf8.count) && !text.hasPrefix("-") && !text.hasSuffix("-")
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
            }
    }

    /// The token as it is now; nil: none is sent. Over plain HTTP, as to `kubectl proxy`, only one that
    /// was asked for.
    /// - Throws: `RQD_AUTH`, for a file that can't be read now.
    func token() throws(CallFailure) -> String? {
        guard let path = tokenFile ?? (server.isTLS ? "\(account)/token" : nil) else { return nil }
        do {
            return try SmallFile(path).line(limit: Self.longestToken)
        } catch {
            throw CallFailure(
                RQD_AUTH,
                "\(server): the file of the service account's token: \(path): \(error.what)")
        }
    }

    /// Whom to trust now: what the file says, never the system's authorities.
    /// - Throws: `RQD_AUTH`, for a file that can't be read now.
    func tls() throws(CallFailure) -> TLSOptions {
        var options = TLSOptions()
        guard server.isTLS else { return options }
        let path = authorityFile ?? "\(account)/ca.crt"
        do {
            let pem = try SmallFile(path).contents(limit: Self.longestAuthority)
            // A text, not the file: libcurl would keep what it read of a file for a day.
            options.authorities = .certificates(.text(pem))
        } catch {
            throw CallFailure(
                RQD_AUTH, "\(server): the file of its authority: \(path): \(error.what)")
        }
        return options
    }
}
