public import PluginABI
import PluginSupport

/// The stock plugin `consul-kv`.
public enum ConsulPlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private static let shared = RegistryPlugin.descriptor(
        .init(
            id: "io.rqlite.disco.consul-kv", mode: "consul-kv",
            configSchema: ConsulConfiguration.schema)
    ) { arguments, log throws(CallFailure) in
        try ConsulRegistry(arguments, log: log, environment: ProcessEnvironment.value)
    }
}
