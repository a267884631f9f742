import Glibc
public import PluginABI
import PluginSupport

/// The stock plugin `dns`.
public enum DNSPlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private struct Descriptor: @unchecked Sendable {
        /// A constant once made, hence safe to share.
        let pointer: UnsafePointer<rqd_plugin>
    }

    private static let shared = Descriptor(
        pointer: ResolverPlugin.descriptor(
            .init(id: "io.rqlite.disco.dns", mode: "dns", configSchema: DNSConfiguration.schema)
        ) { arguments, log throws(CallFailure) in
            try DNSResolver(arguments, log: log) { name in getenv(name).map { String(cString: $0) }
            }
        })
}
