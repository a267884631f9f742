import Foundation
import Testing

@testable import Harness

/// A directory of its own for one test, in which plugins are compiled from `BadPlugins`, and the
/// harness to judge them: the program that was built beside the tests.
final class PluginShop: Sendable {
    static let sources = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "BadPlugins")
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    let path: String

    init() throws {
        let directory = FileManager.default.temporaryDirectory
            .appending(path: "rqd-harness-\(UUID().uuidString)")
        path = directory.path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: path) } catch { Issue.record(error) }
    }

    static func harness() throws -> String {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: program).deletingLastPathComponent().appending(path: "disco-harness")
            .path
    }

    /// Where compilers and harnesses are waited for: the tests' own threads are few. Each harness makes four checks at
    /// once, many of which wait most of the time; more would keep each other from their time limits.
    private static let workers = {
        let queue = OperationQueue()
        queue.maxConcurrentOperationCount = max(
            4, ProcessInfo.processInfo.activeProcessorCount)
        return queue
    }()

    static func work<Answer: Sendable>(
        _ body: @escaping @Sendable () throws -> Answer
    ) async throws -> Answer {
        try await withCheckedThrowingContinuation { waiter in
            workers.addOperation { waiter.resume(with: Result { try body() }) }
        }
    }

    /// Compiles it, with its manifest beside it, and returns its path.
    func compile(_ plugin: BadPlugin) async throws -> String {
        try await Self.work { [self] in try compileHere(plugin) }
    }

    private func compileHere(_ plugin: BadPlugin) throws -> String {
        let isCXX = plugin.name == "throws"
        let name = plugin.name == "misnamed" ? "misnamed.so" : "librqlite-disco-bad.so"
        let output = "\(path)/\(name)"
        var arguments = [
            isCXX ? "c++" : "cc", isCXX ? "-std=c++17" : "-std=c11", "-fPIC",
            "-fvisibility=hidden", "-w",
            "-I\(Self.root.appending(path: "Sources/PluginABI/include").path)", "-o", output,
            Self.sources.appending(path: "\(plugin.name).\(isCXX ? "cc" : "c")").path,
        ]
        arguments.append(plugin.name == "executable" ? "-no-pie" : "-shared")
        if plugin.role == .registry { arguments.append("-DREGISTRY") }
        try run(arguments)
        try FileManager.default.setAttributes(
            [.posixPermissions: plugin.name == "world_writable" ? 0o777 : 0o755],
            ofItemAtPath: output)
        try FileManager.default.copyItem(
            at: Self.sources.appending(path: "\(plugin.role.rawValue).harness.json"),
            to: URL(filePath: Runner.manifestPath(of: output)))
        return output
    }

    private func run(_ command: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(command)")
    }

    /// Makes the named checks, or all.
    static func judge(
        _ plugin: String, _ checks: [String] = [], mode: String? = nil, isIsolated: Bool = false
    ) async throws -> [Runner.Entry] {
        try await work {
            try judgeHere(plugin, checks, mode: mode, isIsolated: isIsolated)
        }
    }

    /// Makes all checks of a plugin that should pass them. On a starved machine what is on time may be late by
    /// milliseconds in all rounds of one run, and what comes to an end may not do so in time: these checks alone are
    /// made again, twice at most.
    static func judgePatiently(
        _ plugin: String, isIsolated: Bool = false
    ) async throws -> [Runner.Entry] {
        var entries = try await judge(plugin, isIsolated: isIsolated)
        for _ in 0..<2 {
            let late = Set(entries.filter(\.isOverdue).map(\.check.name))
            guard !late.isEmpty else { break }
            entries.removeAll { late.contains($0.check.name) }
            entries += try await judge(plugin, late.sorted(), isIsolated: isIsolated)
        }
        return entries
    }

    private static func judgeHere(
        _ plugin: String, _ checks: [String] = [], mode: String? = nil, isIsolated: Bool = false
    ) throws -> [Runner.Entry] {
        var invocation = try Invocation([plugin])
        invocation.mode = mode
        invocation.isIsolated = isIsolated
        var runner = try Runner(invocation)
        runner.executable = try harness()
        return runner.run(CheckCatalog.select(checks)) { _ in }
    }
}

extension Runner.Entry {
    /// It took too long, by itself or by the machine's doing.
    fileprivate var isOverdue: Bool {
        let hasTakenAll = verdict.outcome.isBad && verdict.milliseconds >= check.timeout * 1000
        return verdict.isLate || verdict.isHang || hasTakenAll
    }
}
