package import Discovery
import Foundation

/// A plugin as users have it: the object that was built beside the tests, loaded by the host's code.
package struct BuiltPlugin {
    package let choice: PluginChoice
    private let directory: String

    /// Looks in the tests' own directory alone.
    package init(mode: String) throws {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        directory = URL(filePath: program).deletingLastPathComponent().path
        choice = try PluginCatalog(directories: [directory]).find(mode: mode)
    }

    package func instance(_ config: String) throws -> PluginInstance {
        PluginInstance(
            plugin: try Plugin(loading: choice),
            arguments: PluginArguments(
                key: "rqlite", config: Array(config.utf8), nodeID: "1",
                raft: ("10.0.0.1:4002", 4002), apiURL: "http://10.0.0.1:4001"),
            environment: PluginEnvironment(log: { _, _ in }, wallTime: { "" }))
    }

    /// Asks an instance once, and stops it.
    package static func resolve(
        _ instance: PluginInstance
    ) async -> Result<Resolution, PluginError> {
        let result = await withCheckedContinuation { waiter in
            instance.resolve(timeout: .seconds(20)) { waiter.resume(returning: $0) }
        }
        await withCheckedContinuation { waiter in instance.stop { waiter.resume() } }
        return result
    }

    /// As `nm` lists them.
    package func exportedSymbols() throws -> [String] {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["nm", "-D", "--defined-only", "--extern-only", choice.file.path]
        process.standardOutput = pipe
        try process.run()
        let output = String(
            decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return output.split(separator: "\n")
            .compactMap { $0.split(separator: " ").last.map(String.init) }
    }
}
