public import PluginABI
import PluginSupport

/// The stock plugin `etcd-kv`.
public enum EtcdPlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private static let shared = RegistryPlugin.descriptor(
        .init(
            id: "io.rqlite.disco.etcd-kv", mode: "etcd-kv", configSchema: EtcdConfiguration.schema)
    ) { arguments, log throws(CallFailure) in
        try EtcdRegistry(arguments, log: log, environment: ProcessEnvironment.value)
    }
}
