import Foundation

/// A transcript: commands, a line `----`, and what they print, block after block. Comments and
/// blank lines between blocks are kept.
struct ScenarioFile {
    struct Block: Equatable {
        /// Comments and blank lines before the commands.
        var preface: [String]
        var commands: [String]
        var output: [String]
    }

    var blocks: [Block] = []
    var ending: [String] = []

    init(_ text: String) {
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

    var text: String {
        blocks.map { block in
            (block.preface + block.commands + ["----"] + block.output).joined(separator: "\n")
        }.joined(separator: "\n") + "\n"
    }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Scenarios")

    static let names: [String] =
        (try? FileManager.default.contentsOfDirectory(atPath: folder.path))?
        .filter { $0.hasSuffix(".txt") }.sorted() ?? []

    static func read(_ name: String) throws -> ScenarioFile {
        ScenarioFile(
            try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8))
    }

    func write(_ name: String) throws {
        try text.write(
            to: Self.folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
    }

    static var rewrites: Bool { ProcessInfo.processInfo.environment["REWRITE"] != nil }
}
