import Foundation

/// `Plugins/misbehaving.c`, compiled once, and the directories of the nodes that use it.
final class MisbehavingPlugin: Sendable {
    private let directory: TestDirectory

    init() throws {
        directory = try TestDirectory()
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let include = here.deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/PluginABI/include").path
        try run(
            "cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
            "-fvisibility=hidden", "-I\(include)",
            "-o", directory.path + "/librqlite-disco-misbehaving.so",
            here.appendingPathComponent("Plugins/misbehaving.c").path)
    }

    /// What a node needs to use it.
    /// - Parameters:
    ///   - name: of the directory that holds its records and what it is told.
    ///   - isolation: `none` or `process`.
    func arguments(mode: String, name: String, isolation: String) throws -> [String] {
        let root = "\(directory.path)/\(name)"
        try FileManager.default.createDirectory(
            atPath: root + "/control", withIntermediateDirectories: true)
        return [
            "-disco-plugin-path", directory.path, "-disco-mode", mode, "-disco-config", "{\(root)}",
            "-disco-isolation", isolation,
        ]
    }

    /// From now on; nil: it behaves.
    func misbehave(_ name: String, _ what: String?) throws {
        let path = "\(directory.path)/\(name)/control/misbehave"
        if let what {
            try what.write(toFile: path, atomically: true, encoding: .utf8)
        } else {
            try FileManager.default.removeItem(atPath: path)
        }
    }
}
