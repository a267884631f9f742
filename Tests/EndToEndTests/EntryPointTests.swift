import Foundation
import Testing

/// The image's entry point with a stand-in for rqlited that prints its arguments.
@Suite struct EntryPointTests {
    private let directory: TestDirectory
    private let script = "\(ExamplePlugins.root.path)/packaging/docker/docker-entrypoint.sh"

    init() throws {
        directory = try TestDirectory()
        try standIn("rqlited", "for word in \"$@\"; do echo \"$word\"; done")
        try standIn("hostname", "[ \"${1:-}\" = -f ] && echo pod-1.example || echo pod-1")
        try standIn("sleep", "echo \"slept $1\"")
    }

    private func standIn(_ name: String, _ body: String) throws {
        let path = "\(directory.path)/\(name)"
        try "#!/bin/sh\n\(body)\n".write(toFile: path, atomically: true, encoding: .utf8)
        try run("chmod", "755", path)
    }

    private func start(_ arguments: [String], _ environment: [String] = []) throws -> [String] {
        try run(
            ["env", "-i", "PATH=\(directory.path):/usr/bin:/bin"] + environment + [script]
                + arguments
        ).split(separator: "\n").map(String.init)
    }

    private static let generated = [
        "-http-addr", "0.0.0.0:4001", "-http-adv-addr", "pod-1.example:4001",
        "-raft-addr", "0.0.0.0:4002", "-raft-adv-addr", "pod-1.example:4002",
        "-node-id", "pod-1",
    ]

    /// rqlite's Helm chart names it with its path, and in Debian `/bin` is `/usr/bin`.
    @Test func `It lies where rqlite's image has it`() throws {
        let image = try String(
            contentsOfFile: "\(ExamplePlugins.root.path)/packaging/docker/Dockerfile",
            encoding: .utf8)
        #expect(image.contains("\nCOPY packaging/docker/docker-entrypoint.sh /usr/bin/\n"))
    }

    @Test func `Without arguments a node has its identity from the host name`() throws {
        let expected = Self.generated + ["/rqlite/file/data"]
        #expect(try start([]) == expected)
        #expect(try start(["run"]) == expected)
        #expect(try start(["run", "-fk"]) == expected)
    }

    @Test func `Flags come behind the generated ones, and the data directory last`() throws {
        let flags = ["-disco-mode=consul-kv", "-disco-config", #"{"address": "example.com:8500"}"#]
        #expect(try start(flags) == Self.generated + flags + ["/rqlite/file/data"])
    }

    @Test func `A flag that is given is not generated`() throws {
        #expect(
            try start(["-node-id=7", "-raft-adv-addr", "a:1", "-http-addr=b:2"]) == [
                "-http-adv-addr", "pod-1.example:4001", "-raft-addr", "0.0.0.0:4002",
                "-node-id=7", "-raft-adv-addr", "a:1", "-http-addr=b:2", "/rqlite/file/data",
            ])
    }

    @Test func `Variables say otherwise`() throws {
        let variables = [
            "HTTP_ADDR=a:1", "HTTP_ADV_ADDR=b:2", "RAFT_ADDR=c:3", "RAFT_ADV_ADDR=d:4",
            "NODE_ID=a node", "DATA_DIR=/some where", "ENABLE_FK=yes",
        ]
        #expect(
            try start([], variables) == [
                "-http-addr", "a:1", "-http-adv-addr", "b:2", "-raft-addr", "c:3",
                "-raft-adv-addr", "d:4", "-node-id", "a node", "-fk", "/some where",
            ])
        #expect(try start(["-fk=false"], ["ENABLE_FK=1"]).filter { $0.hasPrefix("-fk") }.count == 1)
    }

    @Test func `Another program is run as it is`() throws {
        #expect(try start(["echo", "-n", "a b"]) == ["a b"])
    }

    @Test func `Kubernetes is given time to name the pod`() throws {
        #expect(try start([], ["KUBERNETES_SERVICE_HOST=10.0.0.1"]).first == "slept 5")
        let both = ["KUBERNETES_SERVICE_HOST=10.0.0.1", "START_DELAY=1"]
        #expect(try start([], both).first == "slept 1")
        #expect(try start([], ["START_DELAY=2"]).first == "slept 2")
    }

    @Test func `Extensions are looked for, and named once`() throws {
        #expect(
            try start([], ["CUSTOM_SQLITE_EXTENSIONS_PATH=/a.zip"])
                .contains("-extensions-path=/a.zip"))
        for (variables, flags, text) in [
            (["SQLITE_EXTENSIONS=none-such"], [], "SQLite extension none-such does not exist"),
            (
                ["SQLITE_EXTENSIONS=x"], ["-extensions-path=/b"],
                "Setting both -extensions-path and SQLITE_EXTENSIONS is not allowed"
            ),
            (
                ["CUSTOM_SQLITE_EXTENSIONS_PATH=/a"], ["-extensions-path=/b"],
                "Setting both -extensions-path and CUSTOM_SQLITE_EXTENSIONS_PATH is not allowed"
            ),
        ] as [([String], [String], String)] {
            do {
                Issue.record("\(try start(flags, variables))")
            } catch {
                #expect("\(error)".contains("status 1: \(text)\n"))
            }
        }
    }
}
