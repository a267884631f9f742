import Foundation
import Testing

@testable import Discovery

/// A directory of its own for one test, in which plugins are compiled from `Plugins/*.c`.
final class Workshop: Sendable {
    let path: String
    private let tests = URL(filePath: #filePath).deletingLastPathComponent()

    init() throws {
        let directory = FileManager.default.temporaryDirectory
            .appending(path: "rqd-\(UUID().uuidString)")
        path = directory.path
        try makeDirectory("")
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: path) } catch { Issue.record(error) }
    }

    /// Mode 0700 whatever the umask is.
    @discardableResult
    func makeDirectory(_ name: String) throws -> String {
        let directory = name.isEmpty ? path : "\(path)/\(name)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        return directory
    }

    /// Compiles a plugin and returns its path.
    @discardableResult
    func compile(
        _ source: String, as name: String, _ arguments: [String] = [], mode: Int = 0o755
    ) throws -> String {
        let output = "\(path)/\(name)"
        let include = tests.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Sources/PluginABI/include").path
        try run(
            "cc",
            [
                "-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", "-I\(include)", "-o", output,
                tests.appending(path: "Plugins/\(source)").path,
            ] + arguments)
        try setMode(name, mode)
        return output
    }

    func setMode(_ name: String, _ mode: Int) throws {
        try FileManager.default.setAttributes(
            [.posixPermissions: mode], ofItemAtPath: "\(path)/\(name)")
    }

    func run(_ tool: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [tool] + arguments
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(tool) \(arguments)")
    }

    /// Whether a compiler can be called by its name.
    static func has(_ tool: String) -> Bool {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)")
        }
    }

    /// What a program prints.
    func output(_ tool: String, _ arguments: [String]) throws -> String {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: tool)
        process.arguments = arguments
        process.standardOutput = pipe
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(tool) \(arguments): \(text)")
        return text
    }

    /// In this directory alone.
    func find(_ mode: String) throws -> PluginChoice {
        try PluginCatalog(directories: [path]).find(mode: mode)
    }

    func load(_ mode: String) throws -> Plugin { try Plugin(loading: try find(mode)) }
}
