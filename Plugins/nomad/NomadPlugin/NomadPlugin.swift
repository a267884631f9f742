public import PluginABI
import PluginSupport

/// The stock plugin `nomad`.
public enum NomadPlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private static let shared = ResolverPlugin.descriptor(
        .init(
            id: "io.rqlite.disco.nomad", mode: "nomad",
            configSchema: NomadConfiguration.schema)
    ) { arguments, _ throws(CallFailure) in
        try NomadResolver(arguments, environment: ProcessEnvironment.value)
    }
}
