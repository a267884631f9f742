import Foundation
import Testing

/// Every request that a page sets off as an example, sent as it is printed: in a network namespace, where
/// `localhost:4001` is a node of the test's own. The pages on clustering and plugins are followed by tests of
/// their own, from their first command to the last.
@Suite(.serialized, .enabled(if: Namespace.isPossible)) struct PageExampleTests {
    /// A command that a page prints, and what it prints itself.
    struct Example: Sendable {
        let page: String
        /// What the command begins with.
        let words: String
        /// A part of what is printed.
        let prints: String
        /// Done before.
        var before = ":"
    }

    private static let examples = [
        Example(
            page: "README.md", words: "curl 'localhost:4001/db/execute'",
            prints: #"{"results":[{},{"last_insert_id":1,"rows_affected":1}]}"#),
        Example(
            page: "README.md", words: "curl -G 'localhost:4001/db/query'",
            prints: #"{"results":[{"columns":["name"],"types":["text"],"values":[["fiona"]]}]}"#),
        Example(
            page: "docs/http-api.md", words: "curl -D head -o copy.db", prints: "SQLite format 3",
            before: "trap 'head -c 15 copy.db' EXIT; "
                + #"curl -s localhost:4001/db/execute -d '["CREATE TABLE a(x)", "CREATE TABLE b(x)"]'"#
        ),
        Example(
            page: "docs/http-api.md", words: "curl -C -", prints: "the same",
            before: "cp copy.db whole; truncate -s 5000 copy.db; "
                + "trap 'cmp copy.db whole && echo the same' EXIT"),
        Example(
            page: "docs/operations.md", words: "curl -X POST localhost:4001/cluster/apply/retry",
            prints: "there is nothing to try again"),
        Example(
            page: "docs/operations.md", words: "curl -X POST localhost:4001/cluster/apply/skip",
            prints: "is in no doubt about a log entry"),
        Example(
            page: "docs/operations.md", words: "curl localhost:4001/db/limits",
            prints: #"{"steps":1000000000,"#),
        Example(
            page: "docs/operations.md", words: "curl -X PUT localhost:4001/db/limits",
            prints: #"{"steps":5000000000,"#),
        Example(
            page: "docs/operations.md", words: "curl -X DELETE localhost:4001/remove",
            prints: "nothing else", before: "trap 'echo nothing else' EXIT"),
        Example(
            page: "docs/operations.md", words: "curl --unix-socket /run/rqlited/http.sock",
            prints: "[+]db ok"),
    ]

    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private static func text(_ page: String) throws -> String {
        try String(contentsOf: root.appending(path: page), encoding: .utf8)
    }

    /// The lines that a page sets off, by fences or by four blanks, and that ask a node; those of a block
    /// that is a whole script are followed with it.
    private static func commands(of page: String) throws -> [String] {
        var commands: [String] = []
        var block: [String] = []
        var isFenced = false
        for line in try text(page).split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                isFenced.toggle()
                if !block.contains(where: { $0.contains("rqlited -node-id") }) {
                    commands += block.filter { $0.hasPrefix("curl ") }
                }
                block = []
            } else if isFenced {
                block.append(String(line))
            } else if line.hasPrefix("    curl ") {
                commands.append(String(line.dropFirst(4)))
            }
        }
        return commands
    }

    private static let pages = ["README.md", "docs/http-api.md", "docs/operations.md"]
    private static let followed = ["docs/clustering.md", "docs/plugins.md"]

    @Test func `Each request that a page sets off is sent by a test`() throws {
        let documents = try FileManager.default.contentsOfDirectory(
            atPath: Self.root.appending(path: "docs").path)
        for page in ["README.md"] + documents.filter({ $0.hasSuffix(".md") }).map({ "docs/\($0)" })
        where !Self.followed.contains(page) {
            for command in try Self.commands(of: page) {
                let found = Self.examples.filter {
                    $0.page == page && command.hasPrefix($0.words)
                }
                #expect(found.count == 1, "\(page): \(command)")
            }
        }
        for example in Self.examples {
            let commands = try Self.commands(of: example.page)
            #expect(commands.filter { $0.hasPrefix(example.words) }.count == 1, "\(example.words)")
            #expect(Self.pages.contains(example.page))
        }
    }

    @Test(arguments: PageExampleTests.pages)
    func `The requests of a page print what they should`(page: String) throws {
        var script = """
            ip link set lo up
            mount -t tmpfs tmpfs /run
            mkdir /run/rqlited
            rqlited data 2>log &
            rqlited -node-id socket -http-addr unix:/run/rqlited/http.sock \
                -http-adv-addr localhost:4005 -raft-addr localhost:4006 socket 2>log-socket &
            trap 'kill $(jobs -p)' EXIT
            wait_for() {
                for turn in $(seq 300); do
                    if curl -s --fail-with-body "$@" >>log; then return; fi
                    sleep 0.1
                done
                cat log log-socket
                exit 1
            }
            wait_for localhost:4001/readyz
            wait_for --unix-socket /run/rqlited/http.sock http://localhost/readyz

            """
        let commands = try Self.commands(of: page)
        let examples = commands.compactMap { command in
            Self.examples.first { $0.page == page && command.hasPrefix($0.words) }
        }
        #expect(examples.count == commands.count)
        for (command, example) in zip(commands, examples) {
            script += "(\(example.before)\n\(command) 2>>log)\nprintf '\\n== next\\n'\n"
        }
        let output = try Self.play(script)
        let parts = output.components(separatedBy: "\n== next\n")
        for (part, example) in zip(parts, examples) {
            #expect(part.contains(example.prints), "\(example.words): \(output)")
        }
        #expect(parts.count == examples.count + 1)
    }

    /// The daemon of the test's build stands where the page builds one.
    @Test func `The script of the README makes three nodes, and two go on without the first`()
        throws
    {
        let page = try Self.text("README.md")
        let block = try #require(
            page.components(separatedBy: "```").first { $0.hasPrefix("sh\nswift build") })
        let output = try Self.play(
            """
            ip link set lo up
            mkdir -p .build bin
            ln -s '\(Daemon.binaries)' .build/release
            printf '#!/bin/sh\\n' >bin/swift
            chmod +x bin/swift
            PATH=$PWD/bin:$PATH
            set -m +e

            """ + block.dropFirst(3) + "\nwait\n")
        let rows = output.components(separatedBy: #"[1,"fiona",""#)
        #expect(rows.count == 3, "\(output)")
        #expect(output.contains(#"{"results":[{},{"last_insert_id":1,"rows_affected":1}]}"#))
    }

    /// Runs a script in an empty folder, in namespaces of its own.
    private static func play(_ script: String) throws -> String {
        let directory = try TestDirectory()
        let file = "\(directory.path)/script"
        try ("set -eu\n" + script).write(toFile: file, atomically: true, encoding: .utf8)
        return try run(
            "env", "PATH=\(Daemon.binaries):\(ProcessInfo.processInfo.environment["PATH"] ?? "")",
            "timeout", "--kill-after=5", "120", "unshare", "--net", "--mount", "--pid", "--fork",
            "--kill-child", "bash", "-c", "mkdir \"$1/empty\"; cd \"$1/empty\"; . ../script",
            "bash", directory.path)
    }
}
