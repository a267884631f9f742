import Foundation
import Synchronization

/// One real `rqlited` process with a data directory of its own.
final class Daemon: Sendable {
    /// Where the built products are: set by scripts/test, else the debug build beside the tests.
    static let binaries: String = {
        if let given = ProcessInfo.processInfo.environment["RQLITED_BIN_DIR"] { return given }
        return URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent(".build/debug").path
    }()

    let id: String
    let host: String
    let httpPort: Int
    let raftPort: Int
    let dataDirectory: String
    /// What comes before the program: `ip netns exec …`, `strace …`.
    let prefix: [String]
    let arguments: [String]
    private let process = Mutex<Process?>(nil)

    init(
        id: String, host: String = "127.0.0.1", httpPort: Int, raftPort: Int, directory: String,
        arguments: [String] = [], prefix: [String] = []
    ) {
        self.id = id
        self.host = host
        self.httpPort = httpPort
        self.raftPort = raftPort
        self.prefix = prefix
        self.arguments = arguments
        dataDirectory = "\(directory)/node-\(id)"
    }

    deinit { kill() }

    var client: HTTPClient { HTTPClient(base: "http://\(host):\(httpPort)") }
    var logPath: String { dataDirectory + ".log" }
    var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    var commandLine: [String] {
        prefix + [
            "\(Self.binaries)/rqlited", "-node-id", id, "-http-addr", "\(host):\(httpPort)",
            "-raft-addr", "\(host):\(raftPort)",
        ] + arguments + [dataDirectory]
    }

    func start() throws {
        let words = commandLine
        let process = Process()
        process.executableURL = URL(
            fileURLWithPath: words[0].hasPrefix("/") ? words[0] : "/usr/bin/env")
        process.arguments = words[0].hasPrefix("/") ? Array(words.dropFirst()) : words
        if !FileManager.default.fileExists(atPath: logPath) {
            try Data().write(to: URL(fileURLWithPath: logPath))
        }
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: logPath))
        try output.seekToEnd()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        self.process.withLock { $0 = process }
    }

    var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }
    var pid: Int32? { process.withLock { $0?.processIdentifier } }

    /// The process's children's, when a prefix runs it: the daemon itself.
    var daemonPID: Int32? {
        guard let pid else { return nil }
        guard !prefix.isEmpty else { return pid }
        let children = try? String(
            contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
        return children?.split(separator: " ").first.flatMap { Int32($0) } ?? pid
    }

    func signal(_ number: Int32) {
        if let pid = daemonPID { Glibc.kill(pid, number) }
    }

    /// `kill -9`, and waits until the process is gone.
    func kill() {
        guard let process = process.withLock({ $0 }), process.isRunning else { return }
        if let daemon = daemonPID, daemon != process.processIdentifier {
            Glibc.kill(daemon, SIGKILL)
        }
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// SIGTERM, and waits for the end.
    /// - Returns: the exit status.
    @discardableResult
    func terminate() -> Int32 {
        guard let process = process.withLock({ $0 }) else { return -1 }
        signal(SIGTERM)
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// Waits for the end that the process finds itself.
    func waitForExit(within limit: Duration = .seconds(15)) async throws -> Int32 {
        try await eventually("node \(id) ends", within: limit) { self.isRunning ? nil : true }
        return process.withLock { $0?.terminationStatus ?? -1 }
    }

    func waitUntilReady(within limit: Duration = .seconds(20)) async throws {
        try await eventually("node \(id) is ready", within: limit) {
            let answer = try await self.client.get("/readyz", timeout: .seconds(2))
            guard answer.status == 200 else {
                throw UnexpectedStatus(status: answer.status, text: answer.text)
            }
            return true
        }
    }
}
