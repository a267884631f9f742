public import PluginABI
import PluginSupport

/// The stock plugin `http`.
public enum HTTPPlugin {
    /// Lives until the process ends.
    public static func descriptor() -> UnsafePointer<rqd_plugin> { shared.pointer }

    private static let shared = ResolverPlugin.descriptor(
        .init(
            id: "io.rqlite.disco.http", mode: "http",
            configSchema: HTTPConfiguration.schema)
    ) { arguments, _ throws(CallFailure) in
        try HTTPResolver(arguments, environment: ProcessEnvironment.value)
    }
}
