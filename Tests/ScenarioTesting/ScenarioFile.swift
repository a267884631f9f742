import Foundation

/// A transcript: commands, a line `----`, and what they print, block after block. Comments and
/// blank lines between blocks are kept.
package struct ScenarioFile {
    package struct Block: Equatable {
        /// Comments and blank lines before the commands.
        package var preface: [String]
        package var commands: [String]
        package var output: [String]
    }

    package var blocks: [Block] = []

    package init(_ text: String) {
        var preface: [String] = []
        var commands: [String] = []
        var output: [String]?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            if let lines = output {
                if line.isEmpty {
                    blocks.append(Block(preface: preface, commands: commands, output: lines))
                    (preface, commands, output) = ([""], [], nil)
                } else {
                    output = lines + [line]
                }
            } else if line == "----" {
                output = []
            } else if line.isEmpty || line.hasPrefix("#") {
                preface.append(line)
            } else {
                commands.append(line)
            }
        }
        if let output {
            blocks.append(Block(preface: preface, commands: commands, output: output))
        } else if !commands.isEmpty {
            // Commands whose output is not written yet.
            blocks.append(Block(preface: preface, commands: commands, output: []))
        }
    }

    package var text: String {
        blocks.map { block in
            (block.preface + block.commands + ["----"] + block.output).joined(separator: "\n")
        }.joined(separator: "\n") + "\n"
    }
}

/// The folder `Scenarios` beside a test's source file.
package struct ScenarioFolder: Sendable {
    private let url: URL

    package init(beside source: String = #filePath) {
        url = URL(fileURLWithPath: source).deletingLastPathComponent()
            .appendingPathComponent("Scenarios")
    }

    package var names: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: url.path))?
            .filter { $0.hasSuffix(".txt") }.sorted() ?? []
    }

    package func read(_ name: String) throws -> ScenarioFile {
        ScenarioFile(try String(contentsOf: url.appendingPathComponent(name), encoding: .utf8))
    }

    package func write(_ file: ScenarioFile, _ name: String) throws {
        try file.text.write(
            to: url.appendingPathComponent(name), atomically: true, encoding: .utf8)
    }

    /// `REWRITE=1`: the transcripts are written anew, and the diff is to be reviewed.
    package static var rewrites: Bool { ProcessInfo.processInfo.environment["REWRITE"] != nil }
}
