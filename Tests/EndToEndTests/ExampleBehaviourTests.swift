import Discovery
import Foundation
import Testing

/// What the plugins of `Examples/plugins` answer, when asked by the host's own code.
@Suite(
    .enabled(if: ExamplePlugins.hindrance == nil, "\(ExamplePlugins.hindrance ?? "")"))
struct ExampleBehaviourTests {
    private let directory: TestDirectory
    private var path: String { "\(directory.path)/peers" }

    init() throws { directory = try TestDirectory() }

    private func plugin(_ mode: String, _ config: String) throws -> LoadedPlugin {
        let example = try #require(ExamplePlugins.all.first { $0.mode == mode })
        return try LoadedPlugin(ExamplePlugins.built().path(example), config: config)
    }

    private func write(_ text: String, executable: Bool = false) throws {
        // By another process: what this one has open for writing, a child that another test starts
        // may hold a moment longer, and then it can't be run.
        try run(
            "sh", "-c", "printf %s \"$1\" >\"$2.new\"; chmod $3 \"$2.new\"; mv \"$2.new\" \"$2\"",
            "sh", text, path, executable ? "755" : "644")
    }

    private var fileConfig: String { #"{ "path" : "\#(path)" }"# }
    private var execConfig: String { #"{"command": "\#(path) one two"}"# }

    // MARK: file

    @Test func `file: every form of an address is understood`() async throws {
        try write("# peers\n10.0.0.7\n node-1:4003 # the first\r\n\n[2001:db8::7]:1\n2001:db8::8\n")
        #expect(
            try await plugin("file", fileConfig).addresses()
                == "10.0.0.7:4002 node-1:4003 [2001:db8::7]:1 [2001:db8::8]:4002")
    }

    @Test func `file: what is wrong with it is told with its line`() async throws {
        let plugin = try plugin("file", fileConfig)
        #expect(
            await plugin.addresses()
                == "unavailable: \(path) can't be read: No such file or directory")
        for line in ["node-1:", "node-1:0", "node-1:70000", "node-1:1x", "[::1", "[::1]x"] {
            try write("10.0.0.7\n\(line)\n")
            let said = await plugin.addresses()
            #expect(said.contains("protocol: "), "\(line): \(said)")
        }
        try write(String(repeating: "#", count: 70_000))
        #expect(await plugin.addresses().hasSuffix("File too large"))
    }

    @Test func `file: a change wakes who waits, also one by renaming or removing`() async throws {
        try write("10.0.0.7\n")
        let plugin = try plugin("file", fileConfig)
        var token = try await plugin.resolve().get().token
        #expect(try await plugin.wait(token, .milliseconds(50)).get() == .unchanged)
        let changes: [@Sendable () throws -> Void] = [
            { [self] in try write("10.0.0.8\n") },
            { [self] in try "10.0.0.9\n".write(toFile: path, atomically: false, encoding: .utf8) },
            { [self] in try run("rm", path) },
            { [self] in try write("10.0.0.7\n") },
        ]
        for change in changes {
            let seen = token
            async let waiting = plugin.wait(seen)
            // Whether it happens before or after the waiting begins makes no difference.
            try change()
            let start = ContinuousClock.now
            var outcome = try await waiting.get()
            // A file that is rewritten in place may be seen empty first: one more change.
            repeat {
                guard case .changed(let next) = outcome else {
                    Issue.record("nothing changed")
                    return
                }
                #expect(next != token)
                token = next
                outcome = try await plugin.wait(token, .milliseconds(50)).get()
            } while outcome != .unchanged
            #expect(ContinuousClock.now - start < stretched(.seconds(1)))
        }
        #expect(try await plugin.resolve().get().token == token)
    }

    // MARK: exec

    @Test func `exec: what the command prints, with its arguments, is the answer`() async throws {
        try write(
            "#!/bin/sh\necho \"$1:7\"; echo; echo ' [2001:db8::7]:8 '; echo $2\n", executable: true)
        let said = try await plugin("exec", execConfig).addresses()
        #expect(said == "one:7 [2001:db8::7]:8 two:4002")
    }

    @Test func `exec: what is wrong with the command is told`() async throws {
        let plugin = try plugin("exec", execConfig)
        #expect(
            await plugin.addresses().hasPrefix(
                "unavailable: \(path): it can't be run: No such file"))
        for (body, text) in [
            ("exit 3", "unavailable: \(path): the command failed: exit status: 3"),
            ("kill -9 $$", "unavailable: \(path): the command failed: signal: 9"),
            ("echo a:0", "protocol: \(path) printed \"a:0\", not host[:port]"),
            ("printf '\\377'", "protocol: \(path): it printed what is no UTF-8"),
            ("yes 10.0.0.7", "protocol: \(path): it prints over 64 KiB"),
        ] {
            try write("#!/bin/sh\n\(body)\n", executable: true)
            let said = await plugin.addresses()
            #expect(said.hasPrefix(text), "\(said)")
        }
    }

    @Test(arguments: [false, true])
    func `exec: at its end the call takes the command and its children with it`(
        isCancelled: Bool
    ) async throws {
        let child = "\(directory.path)/child"
        // The child keeps the output open, too.
        try write(
            "#!/bin/sh\nsleep 600 & echo $! >\(child).new; mv \(child).new \(child); wait\n",
            executable: true)
        let plugin = try plugin("exec", execConfig)
        let start = ContinuousClock.now
        async let answer = plugin.resolve(isCancelled ? .seconds(60) : .seconds(1))
        if isCancelled {
            try await eventually("the child runs") {
                FileManager.default.fileExists(atPath: child) ? true : nil
            }
            plugin.cancel()
        }
        let result = await answer
        #expect(ContinuousClock.now - start < stretched(.seconds(5)))
        guard case .failure(let error) = result else {
            Issue.record("it ended")
            return
        }
        let expected: PluginError.Code = isCancelled ? .cancelled : .timeout
        #expect(error.code == expected, "\(error)")
        let text = try String(contentsOfFile: child, encoding: .utf8)
        let pid = try #require(pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        try await eventually("the child is gone") {
            // Dead, but not yet taken by its parent, will do.
            let state = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            return state?.contains(") Z ") ?? true ? true : nil
        }
    }

    // MARK: env, and all

    @Test func `env: a variable that is not there is named`() async throws {
        let plugin = try plugin("env", #"{"variable": "RQLITE_NONE_SUCH"}"#)
        #expect(
            await plugin.addresses()
                == "unavailable: the environment has no variable RQLITE_NONE_SUCH")
    }

    @Test(arguments: [
        ("file", ""), ("file", "{}"), ("file", #"{"path": "relative"}"#),
        ("file", #"{"path": "/a", "b": 1}"#), ("file", #"{"path": "/a"} x"#),
        ("exec", ""), ("exec", "{}"), ("exec", #"{"command": "relative"}"#),
        ("exec", #"{"command": "/a", "b": 1}"#), ("exec", #"{"command": "/a\"b"}"#),
        ("env", "{}"), ("env", #"{"variable": ""}"#), ("env", #"{"variable": "a", "b": 1}"#),
        ("env", #"{"variables": "a"}"#),
    ])
    func `A configuration that is wrong is refused with the member that is known`(
        _ mode: String, _ config: String
    ) async throws {
        let said = try await plugin(mode, config).addresses()
        #expect(said.hasPrefix("config: the configuration must be {\""), "\(said)")
        #expect(said.contains("is the only member"), "\(said)")
    }
}
