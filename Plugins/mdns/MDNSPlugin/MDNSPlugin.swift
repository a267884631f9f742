public import PluginABI
import PluginSupport

/// The stock plugin `mdns`.
public enum MDNSPlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private static let shared = ResolverPlugin.descriptor(
        .init(
            id: "io.rqlite.disco.mdns", mode: "mdns",
            configSchema: MDNSConfiguration.schema)
    ) { arguments, _ throws(CallFailure) in
        try MDNSResolver(arguments, environment: ProcessEnvironment.value)
    }
}
