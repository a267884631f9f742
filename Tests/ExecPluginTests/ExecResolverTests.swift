import Foundation
import PluginABI
import Testing

@testable import ExecPlugin
@testable import PluginSupport

/// The mode `exec` without a daemon around it: well and badly behaved commands.
@Suite final class ExecResolverTests {
    private let folder = FileManager.default.temporaryDirectory
        .appending(path: "rqd-exec-\(UUID().uuidString)").path

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit { _ = try? FileManager.default.removeItem(atPath: folder) }

    /// Runs a script by the shell; its name is in `$0`.
    private func resolver(_ script: String, _ members: String = "") throws -> ExecResolver {
        let path = "\(folder)/script"
        try script.write(toFile: path, atomically: true, encoding: .utf8)
        return try resolver(command: ["/bin/sh", path, "one", "t w o"], members)
    }

    private func resolver(command: [String], _ members: String = "") throws -> ExecResolver {
        let words = command.map { "\"\($0)\"" }.joined(separator: ",")
        return try ExecResolver(
            InstanceArguments(
                mode: "exec", config: Array("{\"command\":[\(words)]\(members)}".utf8)),
            environment: { _ in nil })
    }

    private func call(seconds: UInt64) -> Call {
        Call(deadline: Call.now + seconds * 1_000_000_000, cancelDescriptor: -1)
    }

    private func failure(
        _ script: String, _ members: String = "", _ limits: Call? = nil
    ) throws -> CallFailure? {
        let resolver = try resolver(script, members)
        return #expect(throws: CallFailure.self) {
            try resolver.resolve(limits ?? call(seconds: 60))
        }
    }

    /// The process whose number stands in a file is dead soon; not yet taken by its parent will do.
    private func expectGone(_ file: String) throws {
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let process = try #require(pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        let deadline = ContinuousClock.now + .seconds(30)
        var isGone = false
        while !isGone, ContinuousClock.now < deadline {
            let state = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
            isGone = state?.contains(") Z ") ?? true
        }
        #expect(isGone)
    }

    @Test func `What the command prints, with its arguments, is the answer`() throws {
        let found = try resolver("echo $1:7; echo '# no'; echo \"$#\"; echo said >&2")
            .resolve(call(seconds: 60))
        #expect(found.map { "\($0.host):\($0.port)" } == ["one:7", "2:0"])
        #expect(try resolver("true").resolve(call(seconds: 60)).isEmpty)
    }

    @Test func `A command that can't be run or fails is told, with what it said`() throws {
        let absent = try resolver(command: ["\(folder)/none"])
        let error = #expect(throws: CallFailure.self) { try absent.resolve(call(seconds: 60)) }
        #expect(
            error
                == CallFailure(
                    RQD_UNAVAILABLE, "\(folder)/none can't be run: No such file or directory"))
        #expect(
            try failure("echo 10.0.0.7; echo 'no  route\nto host' >&2; exit 3")
                == CallFailure(
                    RQD_UNAVAILABLE, "/bin/sh failed with exit status 3: no route to host"))
        #expect(
            try failure("kill -11 $$")
                == CallFailure(RQD_UNAVAILABLE, "/bin/sh was ended by signal 11"))
        let loud = try failure("yes complaint | head -c 1000000 >&2; exit 1")
        #expect(loud?.message.utf8.count ?? 9_999 < 600)
    }

    @Test func `Garbage and floods are refused`() throws {
        let garbage = try failure("echo 10.0.0.7; echo '<html>503</html>'")
        #expect(garbage?.code == RQD_PROTOCOL)
        #expect(garbage?.message.contains("line 2 of what /bin/sh prints") == true)
        #expect(try failure("printf '\\377\\n'")?.code == RQD_PROTOCOL)
        let flood = try failure("yes 10.0.0.7")
        #expect(flood?.code == RQD_PROTOCOL)
        #expect(flood?.message.contains("more than 65536 bytes; it was killed") == true)
    }

    @Test(arguments: [
        "echo $$; sleep 600", "sleep 600 & echo $!; exit 0", "exec >&-; echo $$ >$0.pid; sleep 600",
        "trap '' TERM INT; echo $$; while :; do sleep 600; done",
    ])
    func `A command that hangs is killed in time, with its children`(_ script: String) throws {
        let start = ContinuousClock.now
        let pid = "\(folder)/script.pid"
        let error = try failure(
            script.replacing("echo $!", with: "echo $! >$0.pid")
                .replacing("echo $$;", with: "echo $$ >$0.pid;"), ",\"timeout\":\"1s\"")
        #expect(error?.code == RQD_TIMEOUT)
        #expect(ContinuousClock.now - start < .seconds(30))
        try expectGone(pid)
    }

    @Test func `What a command leaves behind without its output ends with the run`() throws {
        let found = try resolver("sleep 600 >/dev/null 2>&1 & echo $! >$0.pid; echo 10.0.0.7")
            .resolve(call(seconds: 60))
        #expect(found.map(\.host) == ["10.0.0.7"])
        try expectGone("\(folder)/script.pid")
    }

    @Test func `A call that is given up ends the command at once`() throws {
        let pipe = Pipe()
        try pipe.fileHandleForWriting.close()
        let cancelled = Call(
            deadline: Call.now + 600_000_000_000,
            cancelDescriptor: pipe.fileHandleForReading.fileDescriptor)
        #expect(try failure("sleep 600", "", cancelled)?.code == RQD_CANCELLED)
    }

    @Test func `A command inherits neither descriptors nor blocked signals`() throws {
        let open = open("/dev/null", O_RDONLY)
        defer { close(open) }
        #expect(open >= 0)
        _ = try resolver(
            "ls /proc/self/fd | wc -l >$0.count; grep SigBlk /proc/self/status >$0.sig"
        )
        .resolve(call(seconds: 60))
        // 0, 1, 2 and the folder that is read.
        let count = try String(contentsOfFile: "\(folder)/script.count", encoding: .utf8)
        #expect(count.trimmingCharacters(in: .whitespacesAndNewlines) == "4")
        let signals = try String(contentsOfFile: "\(folder)/script.sig", encoding: .utf8)
        #expect(signals.contains("0000000000000000"))
    }

    @Test func `A wait ends when the command prints something else, not when it fails`() throws {
        let resolver = try resolver(
            """
            n=$(cat $0.n 2>/dev/null || echo 0); echo $((n + 1)) >$0.n
            case $n in 0|1) echo 10.0.0.7 ;; 2) exit 1 ;; *) echo 10.0.0.8 ;; esac
            """, ",\"interval\":\"100ms\"")
        let first = try resolver.look(call(seconds: 60))
        let next = try #require(try resolver.wait(token: first.token, call(seconds: 60)))
        #expect(next != first.token)
        let count = try String(contentsOfFile: "\(folder)/script.n", encoding: .utf8)
        #expect(count == "4\n")
    }
}
