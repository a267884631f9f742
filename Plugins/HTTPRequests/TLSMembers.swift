import Glibc
import PluginABI
package import PluginSupport

/// Reads the member `tls` of a configuration.
///
///     ca_file, ca_pem       whom to trust instead of the system's authorities
///     cert_file, cert_pem   the client's certificate, with its key
///     key_file, key_pem
///     server_name           what to expect in the server's certificate; or ServerName
///     insecure_skip_verify  believe any server; or InsecureSkipVerify
///
/// `…_pem` is PEM itself, or its base64.
package enum TLSMembers {
    /// As a schema has it (JSON Schema).
    package static let schema = """
        {"type":"object","additionalProperties":false,"properties":{\
        "ca_file":{"type":"string"},"ca_pem":{"type":"string"},\
        "cert_file":{"type":"string"},"cert_pem":{"type":"string"},\
        "key_file":{"type":"string"},"key_pem":{"type":"string"},\
        "server_name":{"type":"string"},"insecure_skip_verify":{"type":"boolean"},\
        "ServerName":{"type":"string"},"InsecureSkipVerify":{"type":"boolean"}}}
        """

    /// - Throws: `RQD_CONFIG`, also for files that can't be read.
    package static func read(_ tls: inout Configuration) throws(CallFailure) -> TLSOptions {
        var options = TLSOptions()
        if let authorities = try pem("ca", &tls) {
            options.authorities = .certificates(authorities)
        }
        let certificate = try pem("cert", &tls)
        let key = try pem("key", &tls)
        switch (certificate, key) {
        case (let certificate?, let key?):
            options.identity = .init(certificate: certificate, key: key)
        case (nil, nil): break
        case (_?, nil): throw tls.wrong("key_file", "given too, or key_pem: a certificate needs it")
        case (nil, _?): throw tls.wrong("cert_file", "given too, or cert_pem: a key needs it")
        }
        let name = try tls.string("server_name")
        options.serverName = try tls.string("ServerName", default: name)
        let isUnverified = try tls.bool("insecure_skip_verify")
        options.isUnverified = try tls.bool("InsecureSkipVerify") || isUnverified
        return options
    }

    /// What the members `<kind>_file` and `<kind>_pem` say, of which one may be given.
    private static func pem(
        _ kind: String, _ tls: inout Configuration
    ) throws(CallFailure) -> TLSOptions.PEM? {
        let path = try tls.string("\(kind)_file")
        let text = try tls.string("\(kind)_pem")
        switch (path.isEmpty, text.isEmpty) {
        case (true, true): return nil
        case (false, true):
            guard access(path, R_OK) == 0 else {
                let cause = String(cString: strerror(errno))
                throw tls.wrong("\(kind)_file", "a file that can be read; \(path): \(cause)")
            }
            return .file(path)
        case (true, false):
            let marker = "-----BEGIN "
            if text.contains(marker) { return .text(Array(text.utf8)) }
            guard let bytes = Base64.decode(text),
                String(decoding: bytes, as: UTF8.self).contains(marker)
            else { throw tls.wrong("\(kind)_pem", "PEM, or its base64") }
            return .text(bytes)
        case (false, false): throw tls.wrong("\(kind)_pem", "left out where \(kind)_file is given")
        }
    }
}
