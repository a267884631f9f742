import Foundation
import Testing

/// The package of `scripts/dist` on a machine that has no Swift.
@Suite(
    .serialized,
    .enabled(if: BareSystem.hindrance == nil, "\(BareSystem.hindrance ?? "")"))
struct DistTests {
    private let data: TestDirectory
    private let system: BareSystem
    private let cluster: TestCluster

    /// Three nodes with the same ports on different addresses, which know nothing but a name.
    init() throws {
        let addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        let ports = try freePorts(2, host: "0.0.0.0")
        let data = try TestDirectory()
        let system = try BareSystem(data: data, hosts: addresses.map { "\($0) rqlite.test" })
        let nodes = addresses.enumerated().map { number, address in
            Daemon(
                id: "\(number + 1)", host: address, httpPort: ports[0], raftPort: ports[1],
                directory: data.path,
                arguments: [
                    "-disco-mode=dns", #"-disco-config={"name":"rqlite.test"}"#,
                    "-bootstrap-expect", "3",
                ],
                prefix: system.prefix, executable: system.executable)
        }
        self.data = data
        self.system = system
        cluster = TestCluster(nodes, in: data)
    }

    @Test func `Three nodes from the package form a cluster where there is no Swift`() async throws
    {
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(7)"])
        for node in cluster.nodes {
            let rows = try await node.client.rows("SELECT v FROM t", level: "linearizable")
            #expect(rows[0][0].int == 7)
            let libraries = try Self.libraries(of: node)
            #expect(libraries.contains("librqlite-disco-dns.so"), "\(node.log)")
            #expect(libraries.contains("libswiftCore.so"))
            #expect(!libraries.contains { $0.contains("Foundation") || $0.contains("icu") })
        }
        for node in cluster.nodes { #expect(try await node.terminate() == 0) }
    }

    @Test func `All of Swift that the nodes see is in the package`() throws {
        let package = system.executable.dropFirst().dropLast("/bin/rqlited".count)
        // The examples are sources, of a plugin in Swift, too; and pages tell of it.
        let examples = "\(package)/Examples/"
        let swift = try system.files().filter {
            $0.lowercased().contains("swift") && !$0.hasPrefix(examples) && !$0.hasSuffix(".md")
        }
        #expect(swift.contains("\(package)/lib/rqlite/swift/libswiftCore.so"))
        for path in swift { #expect(path.hasPrefix("\(package)/lib/rqlite/swift"), "\(path)") }
    }

    @Test(arguments: ["etcd-kv", "consul-kv"])
    func `The plugins of registries find their libraries`(_ mode: String) async throws {
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: data.path,
            arguments: ["-disco-mode", mode, "-disco-config", #"{"nonsense":1}"#],
            prefix: system.prefix, executable: system.executable)
        try node.start()
        #expect(try await node.waitForExit() == 1)
        // The plugin's own words.
        #expect(node.log.contains("unknown member \"nonsense\"; known are"), "\(node.log)")
    }

    @Test func `The page for operators names every library that a machine needs`() throws {
        let page = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("docs/operations.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        for name in BareSystem.libraries { #expect(text.contains("`\(name)`"), "\(name)") }
    }

    /// Names of the shared objects that a running node has mapped.
    private static func libraries(of node: Daemon) throws -> Set<String> {
        let pid = try #require(node.pid)
        // Foundation takes the kernel's first piece of such a file for all of it.
        let maps = try run("cat", "/proc/\(pid)/maps")
        return Set(
            maps.split(separator: "\n").compactMap { line in
                line.split(separator: "/").last.map(String.init)
            }.filter { $0.contains(".so") })
    }
}
