import JSON

/// What a child process is told: one check of one plugin. Travels as one JSON object.
package struct Job: Sendable {
    var check: String
    var plugin: String
    var mode: String
    /// The manifest's file; empty: there is none.
    var manifest: String
    /// From `--config`; nil: the manifest's.
    var config: [UInt8]?
    /// From `--backend`; nil: a fake one, if the manifest names a kind.
    var backendURL: String?
    /// Whether a line to the fake server is there.
    var hasFakeServer: Bool
    var isIsolated: Bool
    var seed: UInt64
    /// What times are multiplied by.
    var slowness: Int
    /// A directory of this check's own.
    var directory: String

    var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("check", .string(check)), .init("plugin", .string(plugin)),
            .init("mode", .string(mode)), .init("manifest", .string(manifest)),
            .init("fake", .bool(hasFakeServer)), .init("isolated", .bool(isIsolated)),
            .init("seed", .integer(seed)), .init("slowness", .integer(slowness)),
            .init("directory", .string(directory)),
        ]
        if let config {
            members.append(.init("config", .array(config.map { .integer($0) })))
        }
        if let backendURL { members.append(.init("backend", .string(backendURL))) }
        return .object(members)
    }

    init(
        check: String, plugin: String, mode: String, manifest: String, config: [UInt8]?,
        backendURL: String?, hasFakeServer: Bool, isIsolated: Bool, seed: UInt64,
        slowness: Int, directory: String
    ) {
        self.check = check
        self.plugin = plugin
        self.mode = mode
        self.manifest = manifest
        self.config = config
        self.backendURL = backendURL
        self.hasFakeServer = hasFakeServer
        self.isIsolated = isIsolated
        self.seed = seed
        self.slowness = slowness
        self.directory = directory
    }

    init?(_ json: JSONValue) {
        guard let check = json["check"]?.string, let plugin = json["plugin"]?.string,
            let mode = json["mode"]?.string, let manifest = json["manifest"]?.string,
            let fake = json["fake"]?.bool, let isolated = json["isolated"]?.bool,
            case .number(let seed)? = json["seed"], let seed = UInt64(seed),
            let slowness = json["slowness"]?.integer,
            let directory = json["directory"]?.string
        else { return nil }
        self.init(
            check: check, plugin: plugin, mode: mode, manifest: manifest,
            config: json["config"]?.array?.compactMap { $0.integer.map { UInt8(clamping: $0) } },
            backendURL: json["backend"]?.string, hasFakeServer: fake, isIsolated: isolated,
            seed: seed, slowness: Int(slowness), directory: directory)
    }
}
