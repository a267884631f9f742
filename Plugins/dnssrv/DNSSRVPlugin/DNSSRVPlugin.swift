public import PluginABI
import PluginSupport

/// The stock plugin `dns-srv`.
public enum DNSSRVPlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private static let shared = ResolverPlugin.descriptor(
        .init(
            id: "io.rqlite.disco.dns-srv", mode: "dns-srv",
            configSchema: DNSSRVConfiguration.schema)
    ) { arguments, log throws(CallFailure) in
        try DNSSRVResolver(arguments, log: log, environment: ProcessEnvironment.value)
    }
}
