import Foundation
import Testing

/// Starts that must not be: each ends with one clear line and leaves nothing behind.
@Suite(.serialized) struct StartRefusalTests {
    private func node(_ directory: TestDirectory, _ arguments: String...) throws -> Daemon {
        let ports = try freePorts(2)
        return Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: arguments)
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// The lines of a start that ends by itself with code 1.
    private func refusal(_ node: Daemon) async throws -> [Substring] {
        let before = node.log.utf8.count
        try node.start()
        #expect(try await node.waitForExit(within: .seconds(60)) == 1)
        return node.log.utf8.dropFirst(before).split(separator: 10).map { Substring($0) }
    }

    @Test func `A taken port leaves no cluster behind, whichever of the two it is`() async throws {
        let directory = try TestDirectory()
        let other = try node(directory)
        defer { other.kill() }
        try other.start()
        try await other.waitUntilReady(within: .seconds(60))
        for (http, raft) in [
            (other.httpPort, try freePorts(1)[0]), (try freePorts(1)[0], other.raftPort),
        ] {
            let late = Daemon(
                id: "late", httpPort: http, raftPort: raft, directory: directory.path)
            let lines = try await refusal(late)
            #expect(lines.last?.contains("the address is in use") == true, "\(lines)")
            #expect(!exists(late.dataDirectory))
        }
    }

    @Test func `Why a start failed, and that one did not, is said with -raft-log-level OFF too`()
        async throws
    {
        let directory = try TestDirectory()
        let node = try node(directory, "-raft-log-level", "OFF")
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady(within: .seconds(60))
        #expect(node.log.contains("node HTTP API available at"), "\(node.log)")
        let late = Daemon(
            id: "late", httpPort: node.httpPort, raftPort: try freePorts(1)[0],
            directory: directory.path, arguments: node.arguments)
        let lines = try await refusal(late)
        #expect(lines.count == 1, "\(lines)")
        #expect(lines.last?.contains("the address is in use") == true, "\(lines)")
    }

    @Test
    func `A data directory that can't be used is said to be it, whichever file would fail first`()
        async throws
    {
        let directory = try TestDirectory()
        let node = try node(directory)
        let path = node.dataDirectory
        try Data().write(to: URL(fileURLWithPath: path))
        let start = "the data directory \(path) can't be used: "
        #expect(try await refusal(node).last?.contains(start + "\(path) is no directory") == true)

        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: path + "/log"))
        #expect(
            try await refusal(node).last?.contains(start + "\(path)/log is no directory") == true)
    }

    @Test func `An address that is not this machine's leaves no cluster behind`() async throws {
        let directory = try TestDirectory()
        for address in ["192.0.2.1:4001", "no-such-host.invalid:4001"] {
            let node = try node(
                directory, "-http-addr", address, "-http-adv-addr", "localhost:4001")
            let lines = try await refusal(node)
            #expect(lines.last?.contains("failed to listen on \(address): ") == true)
            #expect(!exists(node.dataDirectory))
        }
    }

    @Test func `A read replica without a cluster to follow founds none, and starts again later`()
        async throws
    {
        let directory = try TestDirectory()
        let replica = try node(directory, "-raft-non-voter")
        let lines = try await refusal(replica)
        #expect(lines.last?.contains("-raft-non-voter was given, but no cluster to follow") == true)
        #expect(!exists(replica.dataDirectory))
    }

    @Test func `A node whose log is gone says so, and comes back when it is put back`() async throws
    {
        let directory = try TestDirectory()
        let node = try node(directory)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady(within: .seconds(60))
        _ = try await node.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(7)"])
        node.kill()
        let (log, kept) = (node.dataDirectory + "/log", directory.path + "/kept")
        try FileManager.default.moveItem(atPath: log, toPath: kept)
        let lines = try await refusal(node)
        #expect(lines.last?.contains("holds a database (db-1.sqlite") == true, "\(lines)")
        #expect(!exists(log))
        try FileManager.default.moveItem(atPath: kept, toPath: log)
        try node.start()
        try await node.waitUntilReady(within: .seconds(60))
        #expect(try await node.client.rows("SELECT v FROM t")[0][0].int == 7)
    }

    @Test func `Another -fk than the cluster's is said in one line`() async throws {
        let directory = try TestDirectory()
        let plain = try node(directory)
        defer { plain.kill() }
        try plain.start()
        try await plain.waitUntilReady(within: .seconds(60))
        #expect(!plain.log.contains("-fk counts only"))
        plain.kill()
        let changed = Daemon(
            id: "1", httpPort: plain.httpPort, raftPort: plain.raftPort,
            directory: directory.path, arguments: ["-fk"])
        defer { changed.kill() }
        try changed.start()
        try await changed.waitUntilReady(within: .seconds(60))
        let lines = changed.log.split(separator: "\n").filter { $0.contains("-fk counts only") }
        #expect(lines.count == 1)
        #expect(lines.first?.contains("fk.cluster=false") == true, "\(lines)")
    }

    @Test(arguments: [
        (["-htp-addr", "x", "d"], Int32(2), "did you mean -http-addr?"),
        (["-disco-config", "{}", "d"], 1, "without -disco-mode"),
        (["-fk", "version"], 2, "./version"),
        (["version"], 0, "rqlited v"),
    ])
    func `A slip of the command line is one line and makes no directory`(
        words: [String], code: Int32, text: String
    ) throws {
        let directory = try TestDirectory()
        let output = directory.path + "/output"
        let child = try ChildProcess(
            ["env", "-C", directory.path, "\(Daemon.binaries)/rqlited"] + words, output: output)
        #expect(child.waitForEnd() == code)
        let said = try String(contentsOfFile: output, encoding: .utf8)
        #expect(said.contains(text), "\(said)")
        #expect(said.split(separator: "\n").count == 1, "\(said)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["output"])
    }

    @Test func `A result that nobody takes is a failure`() throws {
        let child = try ChildProcess([
            "/bin/sh", "-c", "exec \(Daemon.binaries)/rqlited openapi >&-",
        ])
        #expect(child.waitForEnd() == 1)
    }

    @Test func `A password that is no UTF-8 has no hash`() throws {
        let directory = try TestDirectory()
        let output = directory.path + "/output"
        let child = try ChildProcess(
            ["/bin/sh", "-c", "printf 'p\\377\\n' | \(Daemon.binaries)/rqlited auth hash"],
            output: output)
        #expect(child.waitForEnd() == 1)
        #expect(
            try String(contentsOfFile: output, encoding: .utf8) == "the password is no UTF-8\n")
    }
}
