public import PluginABI
import PluginSupport

/// The stock plugin `dns`.
public enum DNSPlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private static let shared = ResolverPlugin.descriptor(
        .init(id: "io.rqlite.disco.dns", mode: "dns", configSchema: DNSConfiguration.schema)
    ) { arguments, log throws(CallFailure) in
        try DNSResolver(arguments, log: log, environment: ProcessEnvironment.value)
    }
}
