import Foundation
import Testing

/// `rqlited disco list|resolve|show|clear`, as an operator uses it.
@Suite(.serialized) struct DiscoveryVerbTests {
    struct Outcome {
        var status: Int32
        var output: String
        var errors: String

        var json: JSON {
            get throws { JSON(try JSONSerialization.jsonObject(with: Data(output.utf8))) }
        }
    }

    private let directory: TestDirectory

    init() throws { directory = try TestDirectory() }

    private func disco(_ arguments: [String]) throws -> Outcome {
        let (output, errors) = (directory.path + "/output", directory.path + "/errors")
        // The shell keeps the two apart.
        let child = try ChildProcess(
            ["sh", "-c", #"out=$1 err=$2; shift 2; "$@" >"$out" 2>"$err""#, "sh", output, errors]
                + ["\(Daemon.binaries)/rqlited", "disco"] + arguments)
        let status = child.waitForEnd()
        return Outcome(
            status: status, output: try String(contentsOfFile: output, encoding: .utf8),
            errors: try String(contentsOfFile: errors, encoding: .utf8))
    }

    @Test func `The list names every mode, its file, and what is refused`() throws {
        let plugin = try MisbehavingPlugin()
        let arguments = try plugin.arguments(mode: "own-host", name: "list", isolation: "none")
        let path = arguments[1]
        try "no plugin".write(
            toFile: path + "/rqlite-disco-text.so", atomically: false, encoding: .utf8)
        let plain = try disco(["list", "-disco-plugin-path", path])
        #expect(plain.status == 0 && plain.errors.isEmpty, "\(plain)")
        let file = "\(path)/librqlite-disco-misbehaving.so"
        let rows = plain.output.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(rows.contains(["own-host", "resolver", Substring(file), "ABI", "1.1"]), "\(plain)")
        #expect(
            rows.contains(["directory", "registry", Substring(file), "ABI", "1.1"]), "\(plain)")
        #expect(plain.output.contains("refused: \(path)/rqlite-disco-text.so: "), "\(plain)")
        #expect(plain.output.contains("searched: \(path), "), "\(plain)")

        let loaded = try disco(["list", "-disco-plugin-path", path, "-json", "-load"])
        let modes = try loaded.json["modes"].array ?? []
        let own = try #require(modes.first { $0["mode"].string == "own-host" })
        // It refuses to make an instance without a configuration, and is known all the same.
        #expect(own["id"].string == "org.example.misbehaving", "\(loaded)")
        #expect(own["version"].string == "1" && own["path"].string == file)
        #expect(modes.contains { $0["mode"].string == "dns" }, "\(loaded)")
    }

    @Test(arguments: ["none", "process"])
    func `What a resolver finds is printed`(_ isolation: String) throws {
        let plugin = try MisbehavingPlugin()
        let arguments =
            try plugin.arguments(mode: "own-host", name: "r", isolation: isolation)
            + ["-raft-adv-addr", "h:7"]
        let plain = try disco(["resolve"] + arguments)
        #expect(plain.status == 0, "\(plain)")
        #expect(plain.output == "127.0.0.1:7  priority 0  weight 0\n", "\(plain)")
        let json = try disco(["resolve", "-json"] + arguments)
        #expect(try json.json["addresses"][0]["address"].string == "127.0.0.1:7", "\(json)")

        try plugin.misbehave("r", "resolve garbage")
        let bad = try disco(["resolve"] + arguments)
        #expect(bad.status == 1 && bad.output.isEmpty, "\(bad)")
        #expect(bad.errors.contains("broke its contract"), "\(bad)")
        let wrong = try disco(["show"] + arguments)
        #expect(wrong.status == 1 && wrong.errors.contains("is a resolver"), "\(wrong)")
    }

    @Test func `A registry's records are shown, and removed only as they were seen`() async throws {
        let one = try RegistryCluster(1, expect: 1)
        defer { one.cluster.stop() }
        try one.cluster.start()
        try await one.cluster.waitForAgreement()
        let arguments = one.registry.arguments()
        let shown = try await eventually("the entry names the leader") {
            let shown = try disco(["show", "-json"] + arguments).json
            let isWhole =
                shown["leader"]["value"]["state"].string == "formed"
                && shown["nodes"][0]["value"]["cluster"].string != nil
            return isWhole ? shown : nil
        }
        #expect(try await one.nodes[0].terminate() == 0)
        #expect(shown["leader"]["value"]["id"].string == "1")
        #expect(shown["nodes"][0]["name"].string == "nodes/1")
        let cluster = try #require(shown["leader"]["value"]["cluster"].string)

        let plain = try disco(["show"] + arguments)
        #expect(plain.output.contains("rqlite/leader  revision "), "\(plain)")
        #expect(plain.output.contains("rqlite/nodes/1  revision "), "\(plain)")

        let stale = try disco(["clear", "-expect", "999"] + arguments)
        #expect(stale.status == 1, "\(stale)")
        #expect(stale.errors.contains("not 999: it was written since you looked"), "\(stale)")
        #expect(one.registry.record("leader") != nil)

        _ = try one.registry.write("nodes/2", #"{"foreign":true}"#, expected: nil)
        let records = try disco(["clear", "-cluster", cluster.uppercased()] + arguments)
        #expect(records.output == "removed rqlite/nodes/1\n", "\(records)")
        #expect(one.registry.record("leader") != nil)

        let revision = try #require(one.registry.record("leader")?.revision)
        let cleared = try disco(["clear", "-json", "-expect", revision] + arguments)
        #expect(try cleared.json["removed"][0].string == "rqlite/leader", "\(cleared)")
        #expect(one.registry.record("leader") == nil)
        #expect(one.registry.record("nodes/2") != nil)
        let empty = try disco(["show"] + arguments)
        #expect(empty.output.contains("rqlite/leader  does not exist\n"), "\(empty)")
        #expect(empty.output.contains("rqlite/nodes/2  revision "), "\(empty)")
        #expect(empty.output.contains("unreadable, 16 bytes: "), "\(empty)")
    }

    @Test func `A node of a cluster starts without its plugin, any other does not`() async throws {
        let one = try RegistryCluster(1, expect: 1)
        defer { one.cluster.stop() }
        func node(_ directory: String) -> Daemon {
            let good = one.nodes[0]
            var arguments = good.arguments
            if let place = arguments.firstIndex(of: "-disco-config") {
                arguments[place + 1] = "{}"
            }
            return Daemon(
                id: good.id, httpPort: good.httpPort, raftPort: good.raftPort,
                directory: directory, arguments: arguments)
        }
        let fresh = node(directory.path)
        try fresh.start()
        #expect(try await fresh.waitForExit() == 1)
        #expect(fresh.log.contains("the configuration must be a directory in braces"))
        #expect(!FileManager.default.fileExists(atPath: fresh.dataDirectory))

        try one.cluster.start()
        try await one.cluster.waitForAgreement()
        #expect(try await one.nodes[0].terminate() == 0)
        let formed = node(
            URL(fileURLWithPath: one.nodes[0].dataDirectory).deletingLastPathComponent().path)
        defer { formed.kill() }
        try formed.start()
        try await formed.waitUntilReady()
        _ = try await formed.client.execute(["CREATE TABLE t(v)"])
        #expect(formed.log.contains("discovery does not work; the node starts without it"))
        let status = try await formed.client.get("/status").json()["disco"]
        #expect(status["last_error"].string?.contains("directory in braces") == true, "\(status)")
        #expect(try await formed.terminate() == 0)
    }

    @Test func `What can't be understood ends with 2 and the help`() throws {
        let wrong = try disco(["shwo"])
        #expect(wrong.status == 2 && wrong.output.isEmpty, "\(wrong)")
        #expect(wrong.errors.contains("there is no verb shwo"), "\(wrong)")
        #expect(try disco(["-help"]).status == 0)
    }
}
