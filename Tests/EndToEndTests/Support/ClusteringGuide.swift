import Foundation
import Testing

/// The commands of `docs/clustering.md`, section by section.
enum ClusteringGuide {
    struct Section {
        var title: String
        /// The lines of its `sh` blocks, continued ones put together.
        var commands: [String] = []
    }

    static let path = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("docs/clustering.md").path

    /// Those that have commands.
    static func sections() throws -> [Section] {
        var sections = [Section(title: "Clustering")]
        var isCommand = false
        let page = try String(contentsOfFile: path, encoding: .utf8)
            .replacingOccurrences(of: "\\\n", with: "")
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                isCommand = line == "```sh"
            } else if isCommand {
                sections[sections.count - 1].commands.append(String(line))
            } else if line.hasPrefix("## ") {
                sections.append(Section(title: String(line.dropFirst(3))))
            }
        }
        return sections.filter { !$0.commands.isEmpty }
    }
}

/// Five machines with the addresses that the guide calls `$HOST1` to `$HOST5`, and the DNS records it
/// speaks of.
final class GuideSite {
    private struct Machine {
        var process: ChildProcess
        var log: String
        var address: String
        /// What separates clusters in one registry.
        var key: String
    }

    private static let machines = 5
    private let namespace: Namespace
    private let directory: TestDirectory
    private var nodes: [Machine] = []
    private let registries: [RegistryServer]

    /// - Parameter commands: what will be run there.
    init(for commands: [String]) throws {
        let records = (1...3).map {
            "--srv-host=_rqlite-svc._tcp.rqlite.local,node-\($0).rqlite.local,4002"
        }
        namespace = try Namespace(
            nodes: Self.machines, domain: "rqlite.local", named: 0..<3, options: records)
        directory = try TestDirectory()
        guard commands.contains(where: { $0.contains("example.com") }) else {
            registries = []
            return
        }
        let host = namespace.hostAddress
        registries = try RegistryServer.Kind.allCases.map {
            try RegistryServer.start($0, host: host)
        }
        try namespace.serve(0..<3, options: records + ["--host-record=example.com,\(host)"])
    }

    func stop() {
        for node in nodes { node.process.kill() }
        for node in nodes { node.process.waitForEnd() }
        nodes = []
    }

    /// On the machine that the command's first `$HOST…` names, in a directory of its own.
    func startNode(_ command: String) throws {
        let number = command.firstRange(of: "$HOST").flatMap { range in
            Int(command[range.upperBound...].prefix { $0.isNumber })
        }
        guard let number, (1...Self.machines).contains(number) else {
            throw ChildProcess.Failure(description: "\(command) names no machine")
        }
        let folder = "\(directory.path)/machine-\(number)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let log = "\(folder)/log"
        let process = try ChildProcess(
            shell("cd '\(folder)' && exec \(command)"), output: log)
        nodes.append(
            Machine(
                process: process, log: log, address: namespace.address(number - 1),
                key: Self.key(in: command)))
    }

    func runUntilItSucceeds(_ command: String) async throws {
        let words = shell(command)
        try await eventually(command) {
            try run(words)
            return true
        }
    }

    /// All nodes that were started with the same key are members of one and the same cluster.
    func expectClusters(_ title: String) async throws {
        var known: Set<String> = []
        for key in Set(nodes.map(\.key)).sorted() {
            let nodes = nodes.filter { $0.key == key }
            let cluster = try await eventually("\(title): \(nodes.count) nodes are one cluster") {
                try await Self.cluster(of: nodes)
            }
            #expect(known.insert(cluster).inserted, "\(title): \(key) is no cluster of its own")
        }
    }

    /// The ID of the cluster that has these members and no others; nil if there is none.
    private static func cluster(of nodes: [Machine]) async throws -> String? {
        var clusters: Set<String> = []
        for node in nodes {
            let client = HTTPClient(base: "http://\(node.address):4001")
            let status = try await client.get("/status", timeout: .seconds(2)).json()
            clusters.insert(status["store"]["cluster_id"].string ?? "none")
            let members = try await client.get("/nodes?nonvoters", timeout: .seconds(5)).json()
            guard members.members?.count == nodes.count else { return nil }
        }
        return clusters.count == 1 && !clusters.contains("none") ? clusters.first : nil
    }

    private static func key(in command: String) -> String {
        let words = command.split(separator: " ")
        guard let flag = words.firstIndex(of: "-disco-key"), flag + 1 < words.count else {
            return "rqlite"
        }
        return String(words[flag + 1])
    }

    var logs: String {
        nodes.map { (try? String(contentsOfFile: $0.log, encoding: .utf8)) ?? "" }
            .joined(separator: "\n")
    }

    private func shell(_ command: String) -> [String] {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let hosts = (1...Self.machines).map { "HOST\($0)=\(namespace.address($0 - 1))" }
        return namespace.prefix + ["env", "PATH=\(Daemon.binaries):\(path)"] + hosts
            + ["sh", "-c", command]
    }
}
