import Foundation
import Testing

@testable import Settings

/// The files that are made of the table of flags.
@Suite struct GeneratedFileTests {
    private func generated(_ name: String) throws -> String {
        guard case .generated(let text) = invoke("-generate=\(name)") else { throw Failed() }
        return text
    }

    @Test(arguments: ["man", "bash", "zsh"])
    func `Each names every available flag`(name: String) throws {
        let text = try generated(name).replacing("\\-", with: "-")
        for flag in Flag.all where flag.availability == .available {
            #expect(text.contains("-\(flag.name)"), "\(flag.name)")
        }
        for flag in Flag.all where flag.availability != .available {
            #expect(!text.contains("-\(flag.name)\\fR") && !text.contains("'-\(flag.name)["))
        }
        for word in ["disco", "recover", "version", "help"] { #expect(text.contains(word)) }
    }

    @Test func `What an alert tells to do names flags that there are`() throws {
        let rules = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "packaging/prometheus/rules.yml")
        let text = try String(contentsOf: rules, encoding: .utf8)
        let named = text.matches(of: #/ -([a-z][a-z-]+)/#).map { String($0.output.1) }
        #expect(named.contains("raft-election-timeout"))
        let known = Set(Flag.all.map(\.name))
        for name in named { #expect(known.contains(name), "\(name)") }
    }

    @Test func `Nothing else is generated, and it is no flag`() {
        for words in [["-generate=pdf"], ["-generate"], ["-generate=man", "data"]] {
            guard
                case .failure(let text, exitCode: 2) = Invocation.parse(
                    words, workingDirectory: "/w")
            else {
                Issue.record("\(words)")
                continue
            }
            #expect(text.hasPrefix("flag provided but not defined: -generate"))
        }
    }

    @Test func `The page holds no line that man would take for a command of its own`() throws {
        let known = [".TH", ".SH", ".SS", ".B", ".br", ".TP"]
        for line in try generated("man").split(separator: "\n") where line.hasPrefix(".") {
            #expect(known.contains { line == $0 || line.hasPrefix($0 + " ") }, "\(line)")
        }
    }

    @Test(arguments: [("bash", "/bin/bash"), ("zsh", "/bin/zsh")])
    func `The shell can read its file`(name: String, shell: String) throws {
        guard FileManager.default.isExecutableFile(atPath: shell) else { return }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(
            "completion-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(generated(name).utf8).write(to: file)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: shell)
        process.arguments = ["-n", file.path]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }

    @Test func `Bash completes flags, their values and verbs`() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(
            "completion-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        let questions = """

            ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rqlited; echo "${COMPREPLY[@]}"; }
            ask rqlited -http-a
            ask rqlited -disco-isolation ""
            ask rqlited ver
            ask rqlited disco res
            """
        try Data((generated("bash") + questions).utf8).write(to: file)
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = [file.path]
        process.standardOutput = output
        try process.run()
        let said = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(
            said.split(separator: "\n") == [
                "-http-addr -http-adv-addr -http-allow-origin", "auto none process", "version",
                "resolve",
            ])
    }
}
