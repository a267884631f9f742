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
    let executable: String
    let arguments: [String]
    private let process = Mutex<ChildProcess?>(nil)

    init(
        id: String, host: String = "127.0.0.1", httpPort: Int, raftPort: Int, directory: String,
        arguments: [String] = [], prefix: [String] = [],
        executable: String = "\(Daemon.binaries)/rqlited"
    ) {
        self.id = id
        self.host = host
        self.httpPort = httpPort
        self.raftPort = raftPort
        self.prefix = prefix
        self.executable = executable
        self.arguments = arguments
        dataDirectory = "\(directory)/node-\(id)"
    }

    deinit { kill() }

    var client: HTTPClient { HTTPClient(base: "http://\(host):\(httpPort)") }
    var logPath: String { dataDirectory + ".log" }
    var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    var commandLine: [String] {
        prefix + [
            executable, "-node-id", id, "-http-addr", "\(host):\(httpPort)",
            "-raft-addr", "\(host):\(raftPort)",
        ] + arguments + [dataDirectory]
    }

    func start() throws {
        let child = try ChildProcess(commandLine, output: logPath)
        process.withLock { $0 = child }
    }

    var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }
    var pid: Int32? { process.withLock { $0?.pid } }

    /// The daemon itself, also when a wrapper runs it.
    private var daemonPID: Int32? {
        guard let process = process.withLock({ $0 }), process.isRunning else { return nil }
        return wrapperStays ? process.child ?? process.pid : process.pid
    }

    /// `ip netns exec` becomes the program, `strace` stays beside it.
    private var wrapperStays: Bool { prefix.first == "strace" }

    func signal(_ number: Int32) {
        if let pid = daemonPID { Glibc.kill(pid, number) }
    }

    /// `kill -9`, and waits until the process is gone.
    func kill() {
        guard let process = process.withLock({ $0 }), process.isRunning else { return }
        signal(SIGKILL)
        if !wrapperStays { process.kill() }
        process.waitForEnd()
    }

    /// SIGTERM, and waits for the end.
    /// - Returns: the exit status.
    @discardableResult
    func terminate() async throws -> Int32 {
        signal(SIGTERM)
        return try await waitForExit()
    }

    /// Waits for the end that the process finds itself.
    func waitForExit(within limit: Duration = .seconds(15)) async throws -> Int32 {
        try await eventually("node \(id) ends", within: limit) {
            self.process.withLock { $0?.exitStatus }
        }
    }

    func waitUntilReady(within limit: Duration = .seconds(20)) async throws {
        try await eventually("node \(id) is ready", within: limit) { try await self.isReady() }
    }

    /// True, or the reason in an error: what the node waits for, or how it ended.
    func isReady() async throws -> Bool {
        if let status = process.withLock({ $0?.exitStatus }) {
            let words = log.split(separator: "\n").last ?? "nothing"
            throw UnexpectedStatus(
                status: Int(status), text: "node \(id) has ended; its last words: \(words)")
        }
        let answer = try await client.get("/readyz", timeout: .seconds(2))
        guard answer.status == 200 else {
            throw UnexpectedStatus(status: answer.status, text: answer.text)
        }
        return true
    }
}

extension Daemon {
    /// A single node, not started, that knows its users from a file of credentials; `/readyz` is open.
    static func guarded(by file: String, in directory: TestDirectory) throws -> Daemon {
        let ports = try freePorts(2)
        return Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-auth", file, "-auth-open", "ready"])
    }
}
