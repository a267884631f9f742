import HTTPRequests
import Notation
import PluginABI
package import PluginSupport

/// Where the records of a registry are among Consul's keys: `<disco-key>/<name>`.
///
/// Consul's server shortens paths: `a//b`, `a/./b` and `a/x/../b` would name other keys than they say,
/// and it refuses unprintable characters (disable_http_unprintable_char_filter in
/// developer.hashicorp.com/consul/docs/agent/config/config-files). So such keys are refused here.
package struct ConsulKeys: Sendable {
    /// What stands before every name, the slash included.
    let base: String

    package init(discoKey: String) throws(CallFailure) {
        guard !discoKey.isEmpty, Self.isPlain(discoKey), !discoKey.hasSuffix("/") else {
            throw CallFailure(
                RQD_CONFIG,
                "-disco-key \"\(discoKey)\" can't be a key of Consul: it must be printable, begin and "
                    + "end without a slash, and have no empty, . or .. part")
        }
        base = discoKey + "/"
    }

    package func key(of name: String) throws(CallFailure) -> String {
        guard !name.isEmpty, Self.isPlain(name) else { throw Self.refusal(name) }
        return base + name
    }

    /// A prefix may end anywhere, and be empty.
    package func key(ofPrefix prefix: String) throws(CallFailure) -> String {
        guard prefix.isEmpty || Self.isPlain(prefix) else { throw Self.refusal(prefix) }
        return base + prefix
    }

    /// Nil for a key that is not below ours, and for one that only stands for a folder, as Consul's
    /// user interface makes them.
    package func name(of key: String) -> String? {
        guard key.utf8.starts(with: base.utf8), !key.hasSuffix("/") else { return nil }
        return String(decoding: key.utf8.dropFirst(base.utf8.count), as: UTF8.self)
    }

    /// As it stands in a path.
    static func path(_ key: String) -> String {
        "/v1/kv/"
            + key.split(separator: "/", omittingEmptySubsequences: false)
            .map { PercentEncoding.encode(String($0)) }.joined(separator: "/")
    }

    private static func refusal(_ name: String) -> CallFailure {
        CallFailure(
            RQD_UNSUPPORTED,
            "Consul can't keep a record \"\(name)\": a key must be printable and have no empty, . or .. "
                + "part")
    }

    private static func isPlain(_ key: String) -> Bool {
        var parts = key.split(separator: "/", omittingEmptySubsequences: false)
        // A slash at the end makes no empty part.
        if parts.count > 1, parts.last?.isEmpty == true { parts.removeLast() }
        return parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
            && key.unicodeScalars.allSatisfy(isPrintable)
    }

    /// As Go's `unicode.IsPrint`.
    private static func isPrintable(_ scalar: UnicodeScalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
            .paragraphSeparator:
            false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }
}
