import Addresses
import Testing

@testable import Settings

/// `rqlited disco VERB`, and where a plugin runs.
@Suite struct DiscoveryCommandTests {
    private func parse(_ arguments: String...) -> Invocation {
        Invocation.parse(arguments, workingDirectory: "/work")
    }

    private func command(_ arguments: String...) throws -> DiscoveryCommand {
        let invocation = Invocation.parse(["disco"] + arguments, workingDirectory: "/work")
        guard case .discovery(let command) = invocation else {
            throw NodeSettings.Invalid("\(invocation)")
        }
        return command
    }

    @Test func `The verbs take the flags of discovery and of a node's addresses`() throws {
        let resolve = try command(
            "resolve", "-disco-mode=dns", "-disco-config={}", "-disco-isolation=process",
            "-raft-adv-addr", "h:7", "-node-id=n", "-json", "-timeout=3s")
        #expect(resolve.verb == .resolve)
        #expect(resolve.discovery?.config == .text("{}"))
        #expect(resolve.discovery?.isolation == .process)
        #expect(resolve.raft == HostPort(host: "h", port: 7))
        #expect(resolve.nodeID == "n")
        #expect(resolve.isJSON && resolve.timeout == .seconds(3))
        #expect(try command("list").verb == .list(loads: false))
        #expect(try command("list", "-load").verb == .list(loads: true))
        let show = try command("show", "--disco-mode", "etcd-kv")
        #expect(show.verb == .show && show.discovery?.key == "rqlite")
        #expect(
            try command("clear", "-disco-mode=x", "--expect", "7").verb
                == .clear(.entry(revision: "7")))
        #expect(
            try command("clear", "-disco-mode=x", "-cluster=ab").verb
                == .clear(.nodes(cluster: "ab")))
    }

    @Test(
        arguments: [
            ([], "which of them?"), (["delete"], "there is no verb delete"),
            (["resolve"], "-disco-mode is needed"),
            (["list", "data"], "data is not a flag"),
            (["list", "-fk"], "flag provided but not defined: -fk"),
            (["clear", "-disco-mode=x"], "clear needs either -expect"),
            (["clear", "-disco-mode=x", "-expect=1", "-cluster=2"], "clear needs either -expect"),
            (["show", "-disco-mode=x", "-expect=1"], "belong to clear"),
            (["list", "-timeout=0s"], "-timeout must be greater than 0"),
        ] as [([String], String)])
    func `What makes no sense is refused with 2`(_ arguments: [String], _ text: String) {
        guard
            case .failure(let message, let code) = Invocation.parse(
                ["disco"] + arguments, workingDirectory: "/")
        else {
            Issue.record("\(arguments) were accepted")
            return
        }
        #expect(code == 2)
        #expect(message.hasPrefix("rqlited disco: ") && message.contains(text), "\(message)")
    }

    @Test func `Only the first argument is a verb`() throws {
        guard case .help(let text) = parse("disco", "-help") else {
            Issue.record("no help")
            return
        }
        #expect(text.contains("A data directory called disco is written ./disco."))
        guard case .run(let settings) = parse("./disco") else {
            Issue.record("./disco is no data directory")
            return
        }
        #expect(settings.dataDirectory == "/work/./disco")
        #expect(parse("disco", "serve-plugin") == .servePlugin)
    }

    @Test func `A plugin runs in the daemon, or in a process of its own`() throws {
        func isolation(_ value: String?) -> Invocation {
            Invocation.parse(
                ["-disco-mode=x", "-bootstrap-expect=1"]
                    + (value.map { ["-disco-isolation", $0] } ?? []) + ["data"],
                workingDirectory: "/work")
        }
        for (value, expected) in [
            (nil, .auto), ("auto", .auto), ("none", .none), ("process", .process),
        ] as [(String?, NodeSettings.Isolation)] {
            guard case .run(let settings) = isolation(value) else {
                Issue.record("\(value ?? "nothing") is refused")
                continue
            }
            #expect(settings.formation.discovery?.isolation == expected)
        }
        #expect(
            isolation("container")
                == .failure("fatal: -disco-isolation must be auto or none or process", exitCode: 1))
    }

    @Test func `Variables for plugins are named one by one, or by a beginning`() throws {
        #expect(try command("list", "-disco-mode=x").discovery?.variables == [])
        #expect(
            try command("list", "-disco-mode=x", "-disco-env=A_B,,AWS_*,*").discovery?.variables
                == ["A_B", "AWS_*", "*"])
        for wrong in ["A=b", "$A", "*_A", "A*B", "A B"] {
            guard
                case .failure(let text, _) = Invocation.parse(
                    ["-disco-mode=x", "-bootstrap-expect=1", "-disco-env", wrong, "data"],
                    workingDirectory: "/w")
            else {
                Issue.record("\(wrong) is accepted")
                continue
            }
            #expect(text.contains("-disco-env \(wrong) is not the name of a variable"), "\(text)")
        }
        guard
            case .failure(let text, _) = Invocation.parse(
                ["-disco-env=A", "data"], workingDirectory: "/w")
        else {
            Issue.record("it is accepted without a mode")
            return
        }
        #expect(text.contains("-disco-env does nothing without -disco-mode"), "\(text)")
    }
}
