import Glibc
import Notation

/// Which variables of the environment the process of a plugin is given. It needs those that any program
/// does, those that its configuration names, and those of the server it asks; what else stands there is
/// for the daemon and for others, passwords among it.
///
///     always        `basic`, names that begin as one of `basicPrefixes`, and `RQLITE_DISCO_…`
///     by the mode   of `consul-kv`: `CONSUL_…`
///     by its config `$NAME`, `${NAME}`, and "NAME" as a text of its own
///     by the flag   `named`: names, and beginnings of such, as `AWS_*`; `*` is all
///
/// What the daemon itself takes a secret from, `withheld`, goes to a plugin that it is named for whole, and
/// to no other: not by a beginning that fits, nor by `*`.
package struct PluginVariables: Equatable, Sendable {
    /// Names, and beginnings of names, which end with `*`.
    package var named: [String]
    /// Names of variables that hold secrets of the daemon's own.
    package var withheld: Set<String>

    package init(named: [String] = [], withheld: Set<String> = []) {
        self.named = named
        self.withheld = withheld
    }

    /// For a plugin that has been in the daemon, where it could see all: it must find what it is used to.
    package var wide: PluginVariables { PluginVariables(named: named + ["*"], withheld: withheld) }

    /// Of programs in general, of resolvers, libcurl, and the loader: the process is this program again,
    /// and must find the same libraries.
    private static let basic: Set<String> = [
        "PATH", "HOME", "USER", "LOGNAME", "HOSTNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR",
        "http_proxy", "https_proxy", "all_proxy", "no_proxy",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD",
        "LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES",
        "LD_LIBRARY_PATH", "LD_PRELOAD", "GLIBC_TUNABLES",
    ]
    /// Of locales, authorities, of what Kubernetes tells each pod, and of the runtimes of Swift, Go and
    /// sanitizers.
    private static let basicPrefixes = [
        "LC_", "SSL_CERT_", "KUBERNETES_", "RQLITE_DISCO_", "MALLOC_", "SWIFT_", "GODEBUG",
        "GOMAXPROCS",
        "GOMEMLIMIT", "GOTRACEBACK", "GOGC", "ASAN_", "LSAN_", "TSAN_", "UBSAN_",
    ]

    /// Bytes between braces that are looked at.
    private static let longestName = 256

    /// - Parameters:
    ///   - environment: `NAME=value`.
    ///   - mode: the name of the plugin's mode.
    ///   - config: what the plugin is given.
    /// - Returns: those of `environment` that go to the plugin, in their order.
    func chosen(from environment: [String], mode: String, config: [UInt8]) -> [String] {
        let own = mode.prefix { $0 != "-" }.uppercased() + "_"
        let written = Self.names(in: config)
        let beginnings = named.filter { $0.hasSuffix("*") }.map { $0.dropLast() }
        return environment.filter { entry in
            let name = String(entry.prefix { $0 != "=" })
            if named.contains(name) || written.contains(name) || Self.basic.contains(name) {
                return true
            }
            guard !withheld.contains(name) else { return false }
            return name.hasPrefix(own) || Self.basicPrefixes.contains { name.hasPrefix($0) }
                || beginnings.contains { name.hasPrefix($0) }
        }
    }

    /// What may be the name of a variable in a configuration, whether it is JSON or not: more than are
    /// meant does no harm, for it is the operator who wrote them there.
    private static func names(in config: [UInt8]) -> Set<String> {
        var names: Set<String> = []
        var rest = config[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "$"):
                if rest.first == byte {
                    rest = rest.dropFirst()
                } else if rest.first == UInt8(ascii: "{") {
                    let name = rest.dropFirst().prefix(longestName)
                    names.insert(text(name.prefix { $0 != UInt8(ascii: "}") }))
                } else {
                    names.insert(text(rest.prefix(while: VariableName.isNamePart)))
                }
            case UInt8(ascii: "\""):
                let word = rest.prefix(while: VariableName.isNamePart)
                if rest.dropFirst(word.count).first == byte { names.insert(text(word)) }
            default: break
            }
        }
        names.remove("")
        return names
    }

    private static func text(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes, as: UTF8.self)
    }

    /// What this process was started with, as `NAME=value`.
    static var ofThisProcess: [String] {
        var entries: [String] = []
        var next = environ
        while let entry = next.pointee {
            entries.append(String(cString: entry))
            next += 1
        }
        return entries
    }
}
