public import PluginABI
import PluginSupport

/// The stock plugin `kubernetes`.
public enum KubernetesPlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private static let shared = ResolverPlugin.descriptor(
        .init(
            id: "io.rqlite.disco.kubernetes", mode: "kubernetes",
            configSchema: KubernetesConfiguration.schema)
    ) { arguments, _ throws(CallFailure) in
        try KubernetesResolver(arguments, environment: ProcessEnvironment.value)
    }
}
