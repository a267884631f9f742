import Foundation

/// The modes of the plugins in `Examples/plugins`, on the loopback interface.
extension DiscoveryMode {
    /// The peers stand in a file.
    static let file = example("file") { list, directory in
        let path = "\(directory.path)/peers"
        try (["# The test's peers"] + list).joined(separator: "\n")
            .write(toFile: path, atomically: true, encoding: .utf8)
        return (#"{"path": "\#(path)"}"#, [])
    }

    /// A command prints the peers.
    static let exec = example("exec") { list, directory in
        let path = "\(directory.path)/peers"
        let lines = list.map { "echo \($0)" }.joined(separator: "\n")
        try "#!/bin/sh\n\(lines)\n".write(toFile: path, atomically: true, encoding: .utf8)
        try run("chmod", "755", path)
        return (#"{"command": "\#(path) some arguments"}"#, [])
    }

    /// The peers stand in an environment variable.
    static let env = example("env") { list, _ in
        (#"{"variable": "PEERS"}"#, ["env", "PEERS=\(list.joined(separator: ","))"])
    }

    /// - Parameter configure: gets the addresses of all nodes and a directory; returns the
    ///   configuration and what comes before the program.
    private static func example(
        _ mode: String,
        configure: @escaping @Sendable ([String], TestDirectory) throws -> (String, [String])
    ) -> DiscoveryMode {
        DiscoveryMode(name: mode, hindrance: { ExamplePlugins.hindrance }) { nodes in
            guard let example = ExamplePlugins.all.first(where: { $0.mode == mode }) else {
                throw CocoaError(.fileNoSuchFile)
            }
            let plugins = try ExamplePlugins.built()
            let directory = try TestDirectory()
            @Sendable func surroundings(_ places: [Place]) throws -> Surroundings {
                let list = places.map { "\($0.host):\($0.raftPort)" }
                let (configuration, prefix) = try configure(list, directory)
                return Surroundings(
                    places: places,
                    arguments: [
                        "-disco-plugin-path", plugins.folder(example), "-disco-mode", mode,
                        "-disco-config", configuration,
                    ],
                    prefix: prefix, keptAlive: [directory, plugins])
            }
            var first = try surroundings(Place.onLoopback(nodes))
            first.move = { try surroundings(Place.onOwnLoopbackAddresses(nodes)) }
            return first
        }
    }
}
