import PluginABI
import PluginSupport

/// The variables of Consul's own tools, named here without their common `CONSUL_`; read once.
struct ConsulEnvironment {
    private static let names = [
        "HTTP_ADDR", "HTTP_SSL", "HTTP_TOKEN", "HTTP_TOKEN_FILE", "HTTP_AUTH", "NAMESPACE",
        "PARTITION", "CACERT", "CAPATH", "CLIENT_CERT", "CLIENT_KEY", "TLS_SERVER_NAME",
        "HTTP_SSL_VERIFY",
    ]

    private var values: [String: String] = [:]

    init(_ environment: (String) -> String?) {
        for name in Self.names { values[name] = environment("CONSUL_\(name)") }
    }

    /// Empty if it is not set.
    func text(_ name: String) -> String {
        precondition(Self.names.contains(name), "CONSUL_\(name) is not read")
        return values[name] ?? ""
    }

    /// As Go reads truth values; nil if it is not set.
    func bool(_ name: String) throws(CallFailure) -> Bool? {
        switch text(name) {
        case "": return nil
        case "1", "t", "T", "true", "TRUE", "True": return true
        case "0", "f", "F", "false", "FALSE", "False": return false
        default:
            throw CallFailure(RQD_CONFIG, "the variable CONSUL_\(name) must be true or false")
        }
    }
}
