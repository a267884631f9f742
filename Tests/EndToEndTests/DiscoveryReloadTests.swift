import Foundation
import Testing

/// SIGHUP: the file of `-disco-config` and the plugins are read again while the node runs.
@Suite struct DiscoveryReloadTests {
    private let directory: TestDirectory
    private var config: String { "\(directory.path)/config.json" }

    init() throws { directory = try TestDirectory() }

    private func peers(_ name: String, _ places: [DiscoveryMode.Place]) throws {
        let text = places.map { "\($0.host):\($0.raftPort)\n" }.joined()
        try text.write(toFile: "\(directory.path)/\(name)", atomically: true, encoding: .utf8)
    }

    private func configure(_ name: String) throws {
        try "{\"path\":\"\(directory.path)/\(name)\"}"
            .write(toFile: config, atomically: true, encoding: .utf8)
    }

    private func disco(_ node: Daemon, _ member: String) async throws -> String? {
        try await node.client.get("/status").json()["disco"][member].string
    }

    @Test func `Nodes that wait form a cluster when their configuration is read again`()
        async throws
    {
        let places = try DiscoveryMode.Place.onLoopback(3)
        try peers("wrong", Array(places[..<1]))
        try peers("right", places)
        try configure("wrong")
        let cluster = try TestCluster(at: places) { _ in
            ["-disco-mode=file", "-disco-config", config, "-bootstrap-expect", "3"]
        }
        defer { cluster.stop() }
        try cluster.start()
        for node in cluster.nodes {
            try await eventually("node \(node.id) waits") {
                node.log.contains("needs 3 addresses, 1 listed") ? true : nil
            }
        }
        // What can't be read leaves the old one at work, and is said.
        try "{\"paths\":1}".write(toFile: config, atomically: true, encoding: .utf8)
        for node in cluster.nodes { node.signal(SIGHUP) }
        for node in cluster.nodes {
            try await eventually("the log says that it was not read") {
                node.log.contains("can't be read again") ? true : nil
            }
            try await eventually("so does /readyz") {
                let ready = try await node.client.get("/readyz").text
                return ready.contains("discovery was not read again: mode file") ? true : nil
            }
            #expect(try await disco(node, "last_reload_error") != nil)
            #expect(node.isRunning)
        }
        try configure("right")
        for node in cluster.nodes { node.signal(SIGHUP) }
        try await cluster.waitForAgreement(within: .seconds(60))
        for node in cluster.nodes {
            #expect(try await disco(node, "last_reload_error") == nil)
            #expect(
                try await node.client.get("/status").json()["disco"]["reloads"].int ?? 0 >= 1)
        }
    }

    @Test func `What is read again while the plugin is asked counts at once`() async throws {
        let places = try DiscoveryMode.Place.onLoopback(1)
        let asked = "\(directory.path)/asked"
        let words = "echo >>\(asked); /bin/sleep 3; echo \(places[0].host):\(places[0].raftPort)"
        try #"{"command":["/bin/sh","-c","\#(words)"]}"#
            .write(toFile: config, atomically: true, encoding: .utf8)
        let cluster = try TestCluster(at: places) { _ in
            ["-disco-mode=exec", "-disco-config", config, "-bootstrap-expect", "1"]
        }
        defer { cluster.stop() }
        try cluster.start()
        // Behind the second answer it has its cluster, and rests for 30 s.
        try await eventually("the plugin is asked again", within: .seconds(60)) {
            try String(contentsOfFile: asked, encoding: .utf8).count >= 2 ? true : nil
        }
        try #"{"command":["/bin/echo","127.0.0.9:4002"]}"#
            .write(toFile: config, atomically: true, encoding: .utf8)
        cluster.nodes[0].signal(SIGHUP)
        try await eventually("the new configuration counts", within: .seconds(15)) {
            cluster.nodes[0].log.contains("resolved addresses: [127.0.0.9:4002]") ? true : nil
        }
    }

    @Test(arguments: ["file,exec", "exec,file"])
    func `Of several modes each is read for itself, and those that were are named`(_ modes: String)
        async throws
    {
        let places = try DiscoveryMode.Place.onLoopback(1)
        for name in ["old", "new"] { try peers(name, places) }
        func configure(_ name: String, _ exec: String) throws {
            try "{\"file\":{\"path\":\"\(directory.path)/\(name)\"},\"exec\":\(exec)}"
                .write(toFile: config, atomically: true, encoding: .utf8)
        }
        let place = "\(places[0].host):\(places[0].raftPort)"
        try configure("old", #"{"command":["/bin/echo","\#(place)"]}"#)
        let cluster = try TestCluster(at: places) { _ in
            ["-disco-mode", modes, "-disco-config", config, "-bootstrap-expect", "2"]
        }
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await eventually("the node waits") {
            node.log.contains("needs 2 addresses, 1 listed") ? true : nil
        }
        try configure("new", #"{"commands":1}"#)
        node.signal(SIGHUP)
        let ready = try await eventually("/readyz says what was not read") {
            let text = try await node.client.get("/readyz").text
            return text.contains("discovery was not read again: mode exec: ") ? text : nil
        }
        #expect(ready.contains("; read and used: file"), "\(ready)")
        let disco = try await node.client.get("/status").json()["disco"]
        #expect(disco["file"]["reloads"].int == 1, "\(disco)")
        #expect(disco["exec"]["reloads"].int ?? 0 == 0, "\(disco)")
        #expect(disco["exec"]["last_reload_error"].string != nil, "\(disco)")
        #expect(node.isRunning)
    }

    @Test func `A plugin that is replaced is used, one that is overwritten is refused`()
        async throws
    {
        let place = try DiscoveryMode.Place.onLoopback(1)
        try peers("peers", place)
        try configure("peers")
        let plugin = "\(directory.path)/rqlite-disco-mine.so"
        let stock = "\(Daemon.binaries)/librqlite-disco-file.so"
        try FileManager.default.copyItem(atPath: stock, toPath: plugin)
        let cluster = try TestCluster(at: place) { _ in
            ["-disco-mode", plugin, "-disco-config", config, "-bootstrap-expect", "1"]
        }
        defer { cluster.stop() }
        try cluster.start()
        let node = cluster.nodes[0]
        try await node.waitUntilReady()
        let first = try await node.client.get("/status").json()["disco"]["process_id"].int
        try FileManager.default.copyItem(atPath: stock, toPath: plugin + ".new")
        #expect(rename(plugin + ".new", plugin) == 0)
        node.signal(SIGHUP)
        try await eventually("the new file's process is at work") {
            let now = try await node.client.get("/status").json()["disco"]["process_id"].int
            return now != nil && now != first ? true : nil
        }
        // The bytes behind what runs must not change.
        let handle = try #require(FileHandle(forWritingAtPath: plugin))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data([0]))
        try handle.close()
        node.signal(SIGHUP)
        try await eventually("the overwritten file is refused") {
            node.log.contains("was overwritten since it was loaded") ? true : nil
        }
        #expect(try await node.client.get("/readyz").status == 200)
        let answer = try await node.client.execute(["CREATE TABLE t(v)"])
        #expect(answer["results"][0]["error"].string == nil)
    }

    @Test(.enabled(if: DiscoveryMode.etcd.hindrance() == nil))
    func `A registry's plugin is read again under a running cluster`() async throws {
        let surroundings = try await DiscoveryMode.etcd.prepare(2)
        let cluster = try TestCluster(at: surroundings.places) { _ in surroundings.arguments }
        defer { cluster.stop() }
        let (first, second) = (cluster.nodes[0], cluster.nodes[1])
        try first.start()
        try await first.waitUntilReady()
        for round in 1...3 {
            first.signal(SIGHUP)
            try await eventually("it was read again") {
                try await first.client.get("/status").json()["disco"]["reloads"].int ?? 0 >= round
                    ? true : nil
            }
            _ = try await first.client.execute(["CREATE TABLE t\(round)(v)"])
        }
        // The new instance keeps the entry that others join by.
        try second.start()
        try await cluster.waitForAgreement()
        withExtendedLifetime(surroundings) {}
    }
}
