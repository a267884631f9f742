import PluginABI

/// What an instance is made from; see `rqd_create_args`.
package struct InstanceArguments {
    package var mode: String
    /// What a registry keeps its records below: the value of `-disco-key`.
    package var key: String
    package var config: [UInt8]

    package init(mode: String, key: String = "rqlite", config: [UInt8]) {
        self.mode = mode
        self.key = key
        self.config = config
    }

    init(_ arguments: rqd_create_args) {
        self.init(
            mode: String(arguments.mode), key: String(arguments.key),
            config: [UInt8](arguments.config))
    }
}
