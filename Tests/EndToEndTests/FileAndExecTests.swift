import Foundation
import Testing

/// Clusters by the stock modes `file` and `exec`, with files and scripts that aren't there yet, change,
/// and misbehave.
@Suite struct FileAndExecTests {
    private let directory: TestDirectory
    private var path: String { "\(directory.path)/peers" }

    init() throws { directory = try TestDirectory() }

    private func list(_ places: [DiscoveryMode.Place]) -> String {
        places.map { "\($0.host):\($0.raftPort)\n" }.joined()
    }

    private var byFile: [String] {
        ["-disco-mode=file", "-disco-config", #"{"path":"\#(path)"}"#]
    }

    private var byScript: [String] {
        [
            "-disco-mode=exec", "-disco-config",
            #"{"command":["/bin/sh","\#(path)"],"timeout":"2s","interval":"1s"}"#,
        ]
    }

    private func write(_ text: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    @Test func `Three nodes form from a file that appears later, and a fourth joins by its change`()
        async throws
    {
        let places = try DiscoveryMode.Place.onLoopback(4)
        let cluster = try TestCluster(at: places) { _ in byFile + ["-bootstrap-expect", "3"] }
        defer { cluster.stop() }
        for node in cluster.nodes[..<3] { try node.start() }
        try await eventually("a node says that the file is not there") {
            cluster.nodes[0].log.contains("\(path) can't be read: No such file") ? true : nil
        }
        try write("# two of three\n" + list(Array(places[..<2])))
        try await eventually("a node has read it") {
            cluster.nodes[2].log.contains("resolved addresses") ? true : nil
        }
        #expect(try await cluster.nodes[2].client.get("/readyz").status == 503)
        try write(list(Array(places[..<3])))
        try await cluster.waitForAgreement(within: .seconds(60))

        // The newcomer's file leads nowhere first.
        try write("127.0.0.1:1\n")
        try cluster.nodes[3].start()
        try await eventually("the newcomer has read it") {
            cluster.nodes[3].log.contains("resolved addresses: [127.0.0.1:1]") ? true : nil
        }
        try write(list(Array(places[..<1])))
        try await cluster.nodes[3].waitUntilReady()
    }

    @Test(arguments: [("2>&-", 2...2), ("<&- >&- 2>&-", 0...2)])
    func `A node that is started with closed descriptors forms by a plugin in its own process`(
        closing: String, descriptors: ClosedRange<Int>
    ) async throws {
        let places = try DiscoveryMode.Place.onLoopback(1)
        let cluster = try TestCluster(
            at: places, prefix: ["/bin/sh", "-c", "exec \"$@\" \(closing)", "sh"]
        ) { _ in byFile + ["-disco-isolation=process", "-bootstrap-expect=1"] }
        defer { cluster.stop() }
        try write(list(places))
        try cluster.start()
        try await cluster.nodes[0].waitUntilReady()
        let pid = try #require(cluster.nodes[0].pid)
        for descriptor in descriptors {
            let link = "/proc/\(pid)/fd/\(descriptor)"
            let file = try FileManager.default.destinationOfSymbolicLink(atPath: link)
            #expect(file == "/dev/null")
        }
        #expect(try await cluster.nodes[0].terminate() == 0)
    }

    @Test func `Three nodes form by a script`() async throws {
        let places = try DiscoveryMode.Place.onLoopback(3)
        let cluster = try TestCluster(at: places) { _ in byScript + ["-bootstrap-expect", "3"] }
        defer { cluster.stop() }
        try write("cat <<LIST\n\(list(places))LIST\n")
        try cluster.start()
        try await cluster.waitForAgreement(within: .seconds(60))
    }

    @Test(arguments: [
        ("sleep 600", "did not end"),
        ("echo no route >&2; exit 7", "failed with exit status 7: no route"),
        ("echo '<html>'", "not one host[:port]"),
        ("yes 10.0.0.7", "prints more than 65536 bytes"),
    ])
    func `A script that misbehaves is named, and a node forms once it is mended`(
        script: String, words: String
    ) async throws {
        let places = try DiscoveryMode.Place.onLoopback(1)
        let cluster = try TestCluster(at: places) { _ in byScript + ["-bootstrap-expect", "1"] }
        defer { cluster.stop() }
        try write(script + "\n")
        try cluster.start()
        let node = cluster.nodes[0]
        try await eventually("the log names the fault", within: .seconds(30)) {
            node.log.contains(words) ? true : nil
        }
        try await eventually("so does /readyz", within: .seconds(30)) {
            try await node.client.get("/readyz").text.contains(words) ? true : nil
        }
        // A cluster that stands is served on, whatever becomes of the script.
        try write("echo \(places[0].host):\(places[0].raftPort)\n")
        try await node.waitUntilReady()
        try write(script + "\n")
        _ = try await node.client.execute(["CREATE TABLE t(v)"])
        #expect(try await node.client.get("/readyz").status == 200)
    }

    @Test(arguments: ["none", "process"])
    func `What a script started ends with a daemon that is killed`(isolation: String) async throws {
        let places = try DiscoveryMode.Place.onLoopback(1)
        let cluster = try TestCluster(at: places) { _ in
            byScript.map { $0.replacing("\"2s\"", with: "\"600s\"") }
                + ["-bootstrap-expect", "1", "-disco-isolation", isolation]
        }
        defer { cluster.stop() }
        // One child in the background, one in front.
        try write("sleep 600 & echo $! >$0.back\nsh -c 'echo $$ >'$0.front'; exec sleep 600'\n")
        try cluster.start()
        let processes = try await eventually("the script runs", within: .seconds(30)) {
            let files = try ["back", "front"].map {
                try String(contentsOfFile: "\(path).\($0)", encoding: .utf8)
            }
            let numbers = files.compactMap {
                pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines))
            }
            return numbers.count == 2 ? numbers : nil
        }
        for process in processes { #expect(Self.isAlive(process)) }
        cluster.nodes[0].kill()
        for process in processes {
            try await eventually("process \(process) ends", within: .seconds(30)) {
                Self.isAlive(process) ? nil : true
            }
        }
    }

    @Test
    func `A script in a process of its own finds what it was given, and no secret of the daemon`()
        async throws
    {
        let backup = "\(directory.path)/backup.json"
        try
            (#"{"version":1,"type":"file","interval":"1h","#
            + #""sub":{"dir":"\#(directory.path)","name":"copy-$EXEC_BACKUP_KEY"}}"#)
            .write(toFile: backup, atomically: true, encoding: .utf8)
        try write("env >\(path).found.next; mv \(path).found.next \(path).found\n")
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: [
                "-disco-mode=exec", "-disco-isolation=process", "-bootstrap-expect=1",
                "-disco-env=NAMED,EXTRA_*", "-auto-backup", backup, "-disco-config",
                #"{"command":["/bin/sh","\#(path)","$WRITTEN"],"interval":"1s"}"#,
            ],
            prefix: [
                "env", "EXEC_BACKUP_KEY=s1", "EXEC_PLACE=p1", "NAMED=n1", "EXTRA_ONE=e1",
                "WRITTEN=w1", "DATABASE_PASSWORD=s2", "NOTIFY_SOCKET=s3",
                "AWS_SECRET_ACCESS_KEY=s4",
            ])
        defer { node.kill() }
        try node.start()
        let text = try await eventually("the script has run", within: .seconds(30)) {
            try? String(contentsOfFile: "\(path).found", encoding: .utf8)
        }
        let lines = Set(text.split(separator: "\n").map(String.init))
        for line in ["EXEC_PLACE=p1", "NAMED=n1", "EXTRA_ONE=e1", "WRITTEN=w1", "TZ=UTC"] {
            #expect(lines.contains(line), "\(line)")
        }
        #expect(lines.contains { $0.hasPrefix("PATH=") })
        for value in ["s1", "s2", "s3", "s4"] {
            #expect(!lines.contains { $0.hasSuffix("=\(value)") }, "\(value)")
        }
    }

    /// Dead, but not yet taken by its parent, is not alive.
    private static func isAlive(_ process: pid_t) -> Bool {
        let state = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        return state.map { !$0.contains(") Z ") } ?? false
    }
}
