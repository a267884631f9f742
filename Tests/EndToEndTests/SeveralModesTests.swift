import Foundation
import Testing

/// `-disco-mode a,b`: several resolvers, whose addresses are put together.
@Suite struct SeveralModesTests {
    private let directory: TestDirectory
    private var path: String { "\(directory.path)/peers" }
    private var script: String { "\(directory.path)/script" }

    init() throws { directory = try TestDirectory() }

    private func list(_ places: some Sequence<DiscoveryMode.Place>) -> String {
        places.map { "\($0.host):\($0.raftPort)\n" }.joined()
    }

    private var arguments: [String] {
        let exec = #"{"command":["/bin/sh","\#(script)"],"timeout":"2s","interval":"1s"}"#
        return [
            "-disco-mode", "file,exec", "-disco-config",
            #"{"exec":\#(exec),"file":{"path":"\#(path)"}}"#,
        ]
    }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    @Test func `Three nodes form though each mode knows some of them alone`() async throws {
        let places = try DiscoveryMode.Place.onLoopback(3)
        try write(list(places[..<2]), to: path)
        try write("cat <<LIST\n\(list(places[1...]))LIST\n", to: script)
        let cluster = try TestCluster(at: places) { _ in arguments + ["-bootstrap-expect", "3"] }
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement(within: .seconds(60))
        let status = try await leader.client.get("/status").json()
        #expect(status["disco"]["file"]["path"].string == path, "\(status["disco"])")
        #expect(status["disco"]["exec"]["program"].string == "/bin/sh", "\(status["disco"])")
    }

    @Test(arguments: ["exit 7", "sleep 600"])
    func `One that fails is named and doesn't hide what the other finds`(
        _ fault: String
    ) async throws {
        let places = try DiscoveryMode.Place.onLoopback(3)
        try write(list(places), to: path)
        try write(fault + "\n", to: script)
        let cluster = try TestCluster(at: places) { _ in arguments + ["-bootstrap-expect", "3"] }
        defer { cluster.stop() }
        try cluster.start()
        try await cluster.waitForAgreement(within: .seconds(60))
        try await eventually("the one that fails is named", within: .seconds(60)) {
            cluster.nodes[0].log.contains("mode exec: ") ? true : nil
        }
    }

    @Test func `Nobody founds a cluster before the slower mode has told of another`() async throws {
        let places = try DiscoveryMode.Place.onLoopback(2)
        let byFile = ["-disco-mode", "file", "-disco-config", #"{"path":"\#(path)"}"#]
        let cluster = try TestCluster(at: places) {
            ($0 == 0 ? byFile : arguments) + ["-bootstrap-expect", "1"]
        }
        defer { cluster.stop() }
        try write(list(places[..<1]), to: path)
        try cluster.nodes[0].start()
        try await cluster.nodes[0].waitUntilReady()
        // The file names the newcomer alone, who would be enough for a cluster of its own.
        try write(list(places[1...]), to: path)
        try write("sleep 1; echo \(places[0].host):\(places[0].raftPort)\n", to: script)
        try cluster.nodes[1].start()
        try await cluster.waitForAgreement(within: .seconds(60))
    }

    @Test(arguments: [
        ("file,etcd-kv", "", "etcd-kv is a registry, which stands alone"),
        ("etcd-kv,file", "", "etcd-kv is a registry, which stands alone"),
        ("file,file", "", "names file twice"),
        ("file,none-such", "", "no plugin offers -disco-mode none-such"),
        ("file,", "", "names an empty mode"),
        ("file,exec", #"{"path":"/a"}"#, #""path" is none of the modes"#),
        ("file,exec", #"{"file":"/a"}"#, #""file" is no object"#),
        ("file,exec", #"{"file":{},"file":{}}"#, #""file" stands there twice"#),
        ("file,exec", #"{"file""#, "-disco-config for several modes is a JSON object"),
        ("file,exec", #"{"file":{"path":"/a"}}"#, "discovery mode exec"),
    ])
    func `Modes that can't be together, and wrong configurations, end the start in words`(
        modes: String, config: String, words: String
    ) async throws {
        let places = try DiscoveryMode.Place.onLoopback(1)
        let cluster = try TestCluster(at: places) { _ in
            ["-disco-mode", modes, "-bootstrap-expect", "1"]
                + (config.isEmpty ? [] : ["-disco-config", config])
        }
        defer { cluster.stop() }
        try cluster.start()
        #expect(try await cluster.nodes[0].waitForExit() != 0)
        #expect(cluster.nodes[0].log.contains(words), "\(cluster.nodes[0].log)")
    }

    @Test func `The addresses of several are shown by disco resolve, each once`() throws {
        try write("10.0.0.1:7\n10.0.0.2:7\n", to: path)
        try write("echo 10.0.0.2:7; echo 10.0.0.3:7\n", to: script)
        let shown = try run(
            "\(Daemon.binaries)/rqlited", "disco", "resolve", arguments[0], arguments[1],
            arguments[2], arguments[3])
        let hosts = shown.split(separator: "\n").compactMap { $0.split(separator: " ").first }
        #expect(hosts == ["10.0.0.1:7", "10.0.0.2:7", "10.0.0.3:7"], "\(shown)")
    }
}
