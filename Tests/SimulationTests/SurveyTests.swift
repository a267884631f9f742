import Foundation
import Testing

/// `rqlite-simulate` counts by which seeds broken rules are noticed.
@Suite struct SurveyTests {
    private struct Run {
        var status: Int32
        var text: String
    }

    /// The program that was built beside the tests.
    private func simulate(_ arguments: String...) throws -> Run {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: tests).deletingLastPathComponent()
            .appending(path: "rqlite-simulate")
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Run(
            status: process.terminationStatus, text: String(decoding: output, as: UTF8.self))
    }

    private func withFile(_ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "survey-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private func survey(_ last: Int, _ path: String, seconds: Int = 1) throws -> Run {
        try simulate(
            "1", "\(last)", "--seconds", "\(seconds)", "--survey", "--results", path, "--lanes",
            "3", "--break", "acknowledgesAtAppend", "--break", "forgetsVote")
    }

    @Test func `A survey that is stopped goes on where it was, and says the same in the end`()
        throws
    {
        try withFile { path in
            let whole = try survey(4, path)
            #expect(whole.status == 0)
            let rows = whole.text.split(separator: "\n").dropFirst(2)
            #expect(
                rows.map { $0.split(separator: " ")[1] } == ["acknowledgesAtAppend", "forgetsVote"])
            let lines = try String(contentsOfFile: path, encoding: .utf8)
                .split(separator: "\n", omittingEmptySubsequences: false)
            // Two rules, four seeds each, a heading, and what follows the last end of a line.
            #expect(lines.count == 10)
            // As it was stopped in the middle of a line.
            let part = lines.prefix(5).joined(separator: "\n") + "\n" + lines[5].prefix(15)
            try part.write(toFile: path, atomically: true, encoding: .utf8)
            #expect(try survey(4, path).text == whole.text)
            let again = try String(contentsOfFile: path, encoding: .utf8)
            let known = Set(
                again.split(separator: "\n").filter { $0.split(separator: " ").count > 2 })
            #expect(known.isSuperset(of: lines.filter { !$0.isEmpty }))
        }
    }

    @Test func `What was surveyed in pieces is one table`() throws {
        try withFile { path in
            let whole = try simulate(
                "1", "5", "--seconds", "1", "--survey", "--break", "acknowledgesAtAppend")
            let arguments = ["--seconds", "1", "--survey", "--break", "acknowledgesAtAppend"]
            for range in [("4", "5"), ("1", "3")] {
                _ = try simulate(
                    range.0, range.1, arguments[0], arguments[1], arguments[2], arguments[3],
                    arguments[4], "--results", path)
            }
            let before = try String(contentsOfFile: path, encoding: .utf8)
            let pieces = try simulate(
                "1", "5", "--seconds", "1", "--survey", "--break", "acknowledgesAtAppend",
                "--results", path)
            #expect(pieces.text == whole.text)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == before)
        }
    }

    @Test func `Results of a survey with other options are not taken`() throws {
        try withFile { path in
            _ = try survey(1, path)
            #expect(try survey(1, path, seconds: 2).status == 2)
        }
    }
}
