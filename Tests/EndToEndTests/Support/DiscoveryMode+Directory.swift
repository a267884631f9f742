/// A registry in a directory, kept by a plugin of this test tree.
extension DiscoveryMode {
    static let directory = DiscoveryMode(name: "directory", hindrance: { nil }) { nodes in
        let registry = try DirectoryRegistry()
        return Surroundings(
            places: try Place.onLoopback(nodes), arguments: registry.arguments(),
            keptAlive: [registry])
    }
}
