public import PluginABI
import PluginSupport

/// The stock plugin `exec`.
public enum ExecPlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private static let shared = ResolverPlugin.descriptor(
        .init(id: "io.rqlite.disco.exec", mode: "exec", configSchema: ExecConfiguration.schema)
    ) { arguments, _ throws(CallFailure) in
        try ExecResolver(arguments, environment: ProcessEnvironment.value)
    }
}
