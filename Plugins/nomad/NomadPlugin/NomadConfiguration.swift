package import HTTPRequests
import PluginABI
package import PluginSupport

/// What the `nomad` mode is told. Where a member is not given the variables of Nomad's own tools count,
/// which stand behind it.
///
///     service     name of the service that the nodes are registered as
///     tags        a list: those that a registration must have, all of them
///     address     http://…, https://… or unix:///PATH of an agent; default    NOMAD_ADDR
///                 "http://127.0.0.1:4646"
///     namespace   default: "default"                                          NOMAD_NAMESPACE
///     region      default: the agent's own                                    NOMAD_REGION
///     token       a secret ID                                                 NOMAD_TOKEN
///     token_file  a file that holds it, read at each request
///     tls         an object; see `TLSMembers`
///
/// In a task with a workload identity the agent is at `unix://${NOMAD_SECRETS_DIR}/api.sock`, and the token
/// in `${NOMAD_SECRETS_DIR}/nomad_token`.
package struct NomadConfiguration: Sendable {
    private static let longestToken = 65_536
    private static let defaultPort: UInt16 = 4646

    package private(set) var server: ServerAddress
    package private(set) var service: String
    package private(set) var tags: [String]
    package private(set) var namespace: String
    package private(set) var region: String
    private var token: String
    private var tokenFile: String
    private(set) var http = HTTPClient.Options()

    package static let schema = """
        {"type":"object","additionalProperties":false,"required":["service"],"properties":{\
        "service":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}},\
        "address":{"type":"string","default":"http://127.0.0.1:4646"},\
        "namespace":{"type":"string","default":"default"},"region":{"type":"string"},\
        "token":{"type":"string"},"token_file":{"type":"string"},\
        "tls":\(TLSMembers.schema)}}
        """

    package init(_ bytes: [UInt8], environment: (String) -> String?) throws(CallFailure) {
        var configuration = try Configuration(bytes, environment: environment)
        service = try configuration.string("service")
        tags = try configuration.strings("tags")
        let address = try configuration.string(
            "address", default: environment("NOMAD_ADDR") ?? "")
        namespace = try configuration.string(
            "namespace", default: environment("NOMAD_NAMESPACE") ?? "")
        region = try configuration.string("region", default: environment("NOMAD_REGION") ?? "")
        tokenFile = try configuration.string("token_file")
        let given = try configuration.string("token")
        token = given.isEmpty && tokenFile.isEmpty ? environment("NOMAD_TOKEN") ?? "" : given
        let tls = try configuration.object("tls") { tls throws(CallFailure) in
            try TLSMembers.read(&tls)
        }
        try configuration.finish()
        if let tls { http.tls = tls }
        guard !service.isEmpty, !service.contains("/"), service.utf8.allSatisfy({ $0 >= 0x20 })
        else { throw configuration.wrong("service", "the name of a service, without slashes") }
        guard namespace != "*" else {
            throw configuration.wrong("namespace", "one namespace: nodes of two are no cluster")
        }
        guard given.isEmpty || tokenFile.isEmpty else {
            throw configuration.wrong("token", "left out where token_file is given")
        }
        guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw configuration.wrong("token", "without blanks and control characters")
        }
        guard tokenFile.isEmpty || tokenFile.hasPrefix("/") else {
            throw configuration.wrong("token_file", "the absolute path of a file")
        }
        let text = address.isEmpty ? "http://127.0.0.1:4646" : address
        guard
            let server = ServerAddress(
                text, defaultPort: Self.defaultPort, isTLS: tls != nil)
        else {
            // Not shown, for there may be a password in it.
            throw configuration.wrong(
                "address", "http://HOST[:PORT], https://HOST[:PORT] or unix:///PATH")
        }
        self.server = server
    }

    /// The token as it is now; nil: none is sent.
    /// - Throws: `RQD_AUTH`, for a file that can't be read now.
    func secret() throws(CallFailure) -> String? {
        if tokenFile.isEmpty { return token.isEmpty ? nil : token }
        do {
            return try SmallFile(tokenFile).line(limit: Self.longestToken)
        } catch {
            throw CallFailure(
                RQD_AUTH, "\(server): the file of the token: \(tokenFile): \(error.what)")
        }
    }
}
