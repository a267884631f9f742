import Glibc
import HTTPRequests
import PluginABI
import PluginSupport

/// The member `tls_config`.
///
///     address               server name to expect; a port is cut off   CONSUL_TLS_SERVER_NAME
///     ca_file               authorities, a file of PEM                 CONSUL_CACERT
///     ca_path               authorities, a directory of such files     CONSUL_CAPATH
///     ca_pem                authorities, base64 of PEM
///     cert_file, key_file   the client's certificate and its key       CONSUL_CLIENT_CERT, …_KEY
///     cert_pem, key_pem     the same, base64 of PEM
///     insecure_skip_verify  whether any server is believed             CONSUL_HTTP_SSL_VERIFY=false
///
/// A file counts before a text, and that before a directory, as in Consul's client. The variables of a
/// line count where none of the members for the same thing is given.
struct ConsulTLS {
    private var serverName = ""
    private var authorityFile = ""
    private var authorityText = ""
    private var authorityDirectory = ""
    private var certificate = (file: "", text: "")
    private var key = (file: "", text: "")
    private var isUnverified = false
    private let variables: ConsulEnvironment

    /// Of the environment alone.
    init(_ variables: ConsulEnvironment) throws(CallFailure) {
        self.variables = variables
        try takeVariables()
    }

    init(
        _ configuration: inout Configuration, _ variables: ConsulEnvironment
    ) throws(CallFailure) {
        self.variables = variables
        serverName = try configuration.string("address")
        authorityFile = try configuration.string("ca_file")
        authorityDirectory = try configuration.string("ca_path")
        authorityText = try configuration.string("ca_pem")
        certificate.file = try configuration.string("cert_file")
        certificate.text = try configuration.string("cert_pem")
        key.file = try configuration.string("key_file")
        key.text = try configuration.string("key_pem")
        isUnverified = try configuration.bool("insecure_skip_verify")
        try takeVariables()
    }

    private mutating func takeVariables() throws(CallFailure) {
        if serverName.isEmpty { serverName = variables.text("TLS_SERVER_NAME") }
        if authorityFile.isEmpty, authorityText.isEmpty, authorityDirectory.isEmpty {
            authorityFile = variables.text("CACERT")
            authorityDirectory = variables.text("CAPATH")
        }
        let members = [certificate.file, certificate.text, key.file, key.text]
        if members.allSatisfy(\.isEmpty) {
            certificate.file = variables.text("CLIENT_CERT")
            key.file = variables.text("CLIENT_KEY")
        }
        if !isUnverified { isUnverified = try variables.bool("HTTP_SSL_VERIFY") == false }
    }

    /// Checks that what is named can be read.
    func options() throws(CallFailure) -> TLSOptions {
        var options = TLSOptions()
        options.serverName = Self.withoutPort(serverName)
        options.isUnverified = isUnverified
        options.authorities = try authorities()
        let hasCertificate = !certificate.file.isEmpty || !certificate.text.isEmpty
        let hasKey = !key.file.isEmpty || !key.text.isEmpty
        guard hasCertificate == hasKey else {
            throw CallFailure(
                RQD_CONFIG,
                "the discovery configuration's \"tls_config\" has only one of a client's "
                    + "certificate (cert_file, cert_pem) and its key (key_file, key_pem)")
        }
        if hasCertificate {
            options.identity = TLSOptions.Identity(
                certificate: try Self.pem(certificate.file, certificate.text, "cert"),
                key: try Self.pem(key.file, key.text, "key"))
        }
        return options
    }

    private func authorities() throws(CallFailure) -> TLSOptions.Authorities {
        if !authorityFile.isEmpty || !authorityText.isEmpty {
            return .certificates(try Self.pem(authorityFile, authorityText, "ca"))
        }
        guard !authorityDirectory.isEmpty else { return .system }
        return .certificates(.text(try CertificateDirectory(authorityDirectory).contents()))
    }

    private static func pem(
        _ file: String, _ text: String, _ member: String
    ) throws(CallFailure) -> TLSOptions.PEM {
        if !file.isEmpty {
            guard access(file, R_OK) == 0 else {
                throw CallFailure(
                    RQD_CONFIG,
                    "tls_config.\(member)_file: \(file): \(String(cString: strerror(errno)))")
            }
            return .file(file)
        }
        let mark = Array("-----BEGIN ".utf8)
        guard let bytes = Base64.decode(text), PEMText.contains(mark, in: bytes) else {
            throw CallFailure(
                RQD_CONFIG,
                "the discovery configuration's member \"tls_config.\(member)_pem\" must be the "
                    + "base64 of a PEM text")
        }
        return .text(bytes)
    }

    /// Of "host", "host:port", "[::1]:port" and "::1".
    private static func withoutPort(_ address: String) -> String {
        if address.hasPrefix("[") {
            return String(address.dropFirst().prefix { $0 != "]" })
        }
        let parts = address.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 ? String(parts[0]) : address
    }
}
