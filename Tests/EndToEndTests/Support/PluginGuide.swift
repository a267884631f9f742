import Foundation

/// The commands of `docs/plugins.md`: a page's blocks, as a shell script that does what a reader does.
struct PluginGuide {
    enum Block: Equatable {
        /// Typed into one shell, one block after the other.
        case commands(String)
        /// To be saved under a name.
        case file(name: String, content: String)
        /// What is printed, or part of it.
        case output(String)
    }

    let blocks: [Block]

    init() throws {
        let page = try String(
            contentsOf: ExamplePlugins.root.appending(path: "docs/plugins.md"), encoding: .utf8)
        var blocks: [Block] = []
        // Odd parts are inside of fences; the first line says what they are.
        for (number, part) in page.components(separatedBy: "```").enumerated()
        where !number.isMultiple(of: 2) {
            let head = part.prefix { $0 != "\n" }.split(separator: " ").map(String.init)
            let content = String(part.drop { $0 != "\n" }.dropFirst())
            switch head.first {
            case "sh": blocks.append(.commands(content))
            case "text": blocks.append(.output(content))
            default:
                guard head.count == 2 else { throw CocoaError(.fileReadCorruptFile) }
                blocks.append(.file(name: head[1], content: content))
            }
        }
        self.blocks = blocks
    }

    /// All of it; stops at the first command that fails.
    var script: String {
        let parts = blocks.compactMap { block -> String? in
            switch block {
            case .commands(let text): text
            case .file(let name, let content):
                "cat >\(name) <<'END OF FILE'\n\(content)END OF FILE\n"
            case .output: nil
            }
        }
        return "set -eu\n" + parts.joined()
    }

    /// The lines that must be printed.
    var outputLines: [String] {
        blocks.flatMap { block -> [String] in
            guard case .output(let text) = block else { return [] }
            return text.split(separator: "\n").map(String.init)
        }
    }
}
