import Testing

@testable import Settings

/// Runs a command line as if typed in `/work`.
func invoke(_ arguments: String...) -> Invocation {
    Invocation.parse(arguments, workingDirectory: "/work")
}

/// The text after `fatal: ` of a refused command line with a data directory; nil if it runs.
func refusal(_ arguments: String...) -> String? {
    let invocation = Invocation.parse(arguments + ["data"], workingDirectory: "/work")
    switch invocation {
    case .run: return nil
    case .failure(let text, exitCode: 1) where text.hasPrefix("fatal: "):
        return String(text.dropFirst(7))
    default: return "unexpected: \(invocation)"
    }
}

/// The settings of a command line with a data directory.
func settings(_ arguments: String...) throws -> NodeSettings {
    let invocation = Invocation.parse(arguments + ["data"], workingDirectory: "/work")
    guard case .run(let settings) = invocation else {
        Issue.record("\(invocation)")
        throw Failed()
    }
    return settings
}

struct Failed: Error {}

@Suite struct InvocationTests {
    @Test(arguments: ["-version", "--version", "-version=true"])
    func `The version needs no data directory`(argument: String) {
        #expect(invoke(argument) == .version)
        #expect(invoke("-raft-addr", "nonsense", argument) == .version)
    }

    @Test func `The version line has the form scripts read`() {
        let words = Build.versionLine(sqlite: "3.40.1").split(separator: " ")
        #expect(words[0] == "rqlited")
        #expect(words[1].hasPrefix("v"))
        #expect(words[2] == "linux")
        #expect(words[5] == "sqlite3.40.1")
        #expect(
            words.suffix(4).joined(separator: " ") == "(commit \(Build.commit), compiler swiftc)")
        #expect(!Build.commit.isEmpty && !Build.commit.contains(" "))
    }

    @Test(arguments: ["-h", "-help", "--h", "--help"])
    func `Help is no error`(argument: String) {
        #expect(invoke(argument) == .help(Usage.text))
    }

    @Test(arguments: [
        (["-foo", "data"], "flag provided but not defined: -foo"),
        (
            ["-htp-addr", "x", "data"],
            "flag provided but not defined: -htp-addr (did you mean -http-addr?)"
        ),
        (
            ["-bootstrap-exepct=3", "d"],
            "flag provided but not defined: -bootstrap-exepct (did you mean -bootstrap-expect?)"
        ),
        (["--foo=1", "data"], "flag provided but not defined: -foo"),
        (["data", "-join"], ""),
        (["-join"], "flag needs an argument: -join"),
        (
            ["-join-attempts", "x", "d"],
            "invalid value \"x\" for flag -join-attempts: parse error (a whole number)"
        ),
        (
            ["-raft-snap", "-1", "d"],
            "invalid value \"-1\" for flag -raft-snap: parse error (a whole number)"
        ),
        (
            ["-join-interval", "3", "d"],
            "invalid value \"3\" for flag -join-interval: parse error (a time with its unit: 500ms, 10s, 1h30m)"
        ),
        (
            ["-join-attempts", "99999999999999999999", "d"],
            "invalid value \"99999999999999999999\" for flag -join-attempts: value out of range"
        ),
        (["-fk=x", "d"], "invalid boolean value \"x\" for -fk: parse error (true or false)"),
        (["---x", "d"], "bad flag syntax: ---x"),
        (["-=x", "d"], "bad flag syntax: -=x"),
    ])
    func `Errors of the parser are one line that names the help, and code 2`(
        arguments: [String], line: String
    ) {
        let invocation = Invocation.parse(arguments, workingDirectory: "/")
        if line.isEmpty {
            #expect(
                invocation
                    == .failure(
                        "arguments after data directory (data) are not accepted ([-join])",
                        exitCode: 1))
        } else {
            #expect(invocation == .failure(line + "; see rqlited -help", exitCode: 2))
        }
    }

    @Test func `Without arguments the missing one is named`() {
        #expect(
            invoke()
                == .failure(
                    "failed to parse command-line flags: missing required argument: DataPath",
                    exitCode: 1))
    }

    @Test(arguments: [["-fk"], ["-fk", "  "], ["-fk", "--"]])
    func `A data directory is required`(arguments: [String]) {
        #expect(
            Invocation.parse(arguments, workingDirectory: "/")
                == .failure("fatal: data directory path is required", exitCode: 1))
    }

    @Test func `A Boolean takes its value only after an equals sign`() throws {
        guard case .run(let settings) = invoke("-fk", "false") else { throw Failed() }
        #expect(settings.dataDirectory == "/work/false")
        #expect(settings.database.enforcesForeignKeys)
    }

    @Test func `A value is taken whatever it begins with, and the last one wins`() throws {
        let parsed = try FlagParser.parse(["-join-attempts", "-1", "--node-id", "-a", "-node-id=b"])
        #expect(parsed.integer("join-attempts") == -1)
        #expect(parsed.text("node-id") == "b")
    }

    @Test func `Two dashes end the flags`() throws {
        #expect(try FlagParser.parse(["-fk", "--", "-x"]).positional == ["-x"])
        #expect(try FlagParser.parse(["-", "-x"]).positional == ["-", "-x"])
    }

    @Test func `Every default is a value of its flag's type`() throws {
        for flag in Flag.all where flag.kind != .string {
            let parsed = try FlagParser.parse(["-\(flag.name)=\(flag.defaultText)"])
            #expect(parsed.text(flag.name) == flag.defaultText)
        }
    }

    @Test func `No flag stands in the table twice`() {
        #expect(Set(Flag.all.map(\.name)).count == Flag.all.count)
    }

    @Test func `The help lists every available flag under its subject`() {
        let lines = Usage.text.split(separator: "\n", omittingEmptySubsequences: false)
        for flag in Flag.all where flag.availability == .available {
            #expect(lines.contains("  -\(flag.name)\(flag.kind.word)"))
        }
        #expect(Usage.text.contains("\n  -join-attempts int\n    \tRounds over"))
        #expect(Usage.text.contains("before giving up (default 5)\n"))
        #expect(Usage.text.contains("(default \"localhost:4001\")"))
        #expect(Usage.text.contains("Usage: rqlited [flags] <data directory>"))
    }

    @Test func `What is not available is refused when given, never ignored`() {
        for flag in Flag.all where flag.availability != .available {
            let value =
                switch flag.kind {
                case .string: "x"
                case .boolean: "true"
                case .integer, .unsigned: "1"
                case .duration: "1s"
                }
            #expect(
                refusal("-\(flag.name)=\(value)") == "-\(flag.name) is not available yet")
        }
    }

    @Test func `Asking for nothing is no reason to refuse`() {
        #expect(refusal("-auth=", "-auto-optimize-int=0h", "-node-no-verify=false") == nil)
        #expect(refusal("-otlp-interval=0s") == "-otlp-interval is not available yet")
    }

    @Test func `The limits fit together`() {
        Limits.checkRelations()
    }

    @Test func `Nobody's nearest name is far away`() {
        let names = Flag.all.map(\.name)
        #expect(NearestName.of("fk", among: names) == "fk")
        #expect(
            NearestName.of("kf", among: names) == nil || NearestName.of("kf", among: names) == "fk")
        #expect(NearestName.of("RAFT-ADDR", among: names) == "raft-addr")
        #expect(NearestName.of("joim", among: names) == "join")
        #expect(NearestName.of("completely-different", among: names) == nil)
        #expect(NearestName.of(String(repeating: "raft-addr", count: 100_000), among: names) == nil)
    }

    @Test func `The words version and help print, and start no node`() {
        #expect(invoke("version") == .version)
        #expect(invoke("openapi") == .apiDocument)
        #expect(invoke("help") == .help(Usage.text))
        #expect(invoke("help", "disco") == .help(DiscoveryCommand.usage))
        #expect(invoke("help", "recover") == .help(RecoverCommand.usage))
        #expect(invoke("recover", "-help") == .help(RecoverCommand.usage))
        for words in [["version", "x"], ["help", "me"], ["-fk", "version"], ["-fk", "help"]] {
            guard
                case .failure(let text, exitCode: 2) = Invocation.parse(
                    words, workingDirectory: "/w")
            else {
                Issue.record("\(words)")
                continue
            }
            #expect(text.contains("./") && !text.contains("\n"))
        }
        guard case .run = invoke("./version") else {
            Issue.record("./version is no data directory")
            return
        }
    }

    @Test func `Every failure of the command line is one line`() {
        for words in [
            [], ["-x"], ["-join"], ["disco"], ["disco", "-x"], ["disco", "show"], ["recover"],
            ["recover", "-x"], ["recover", "--survivor", "1"], ["a", "b"], ["-fk=2", "d"],
            ["-join", "", "d"], ["-disco-config={}", "d"], ["version", "now"],
            ["-http-addr", "", "d"],
        ] {
            guard
                case .failure(let text, _) = Invocation.parse(words, workingDirectory: "/w")
            else {
                Issue.record("\(words) is no failure")
                continue
            }
            #expect(!text.contains("\n"), "\(words): \(text)")
        }
    }
}
