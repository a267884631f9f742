public import PluginABI
import PluginSupport

/// The stock plugin `file`.
public enum FilePlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private static let shared = ResolverPlugin.descriptor(
        .init(id: "io.rqlite.disco.file", mode: "file", configSchema: FileConfiguration.schema)
    ) { arguments, _ throws(CallFailure) in
        try FileResolver(arguments, environment: ProcessEnvironment.value)
    }
}
