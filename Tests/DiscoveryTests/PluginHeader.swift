import Foundation
import PluginABI

/// The header as text: the current one, the one that is frozen, and one of a version to come.
struct PluginHeader {
    let text: String

    private static let tests = URL(filePath: #filePath).deletingLastPathComponent()

    /// Where the header of 1.0 stands for ever, with plugins that were written against it.
    static let frozenFolder = tests.appending(path: "Plugins/abi-1.0").path
    static let currentFolder = tests.deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Sources/PluginABI/include").path

    static func read(_ folder: String) throws -> PluginHeader {
        PluginHeader(
            text: try String(contentsOfFile: "\(folder)/rqlite_disco.h", encoding: .utf8))
    }

    /// As a later minor version may look: every struct that has a size has members that nobody knew,
    /// and what was frozen is still checked where it stood.
    func grown(toMinor minor: Int) -> PluginHeader {
        var lines: [Substring] = []
        var isInside = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "    uint32_t size;" { isInside = true }
            if line.hasPrefix("}"), isInside {
                lines.append("    uint64_t added[3];")
                isInside = false
            }
            // What is built by a positional list of values stays as it is: so are sizes of strings.
            if line.hasPrefix("RQD_SIZE_("), !line.contains("text"), !line.contains("bytes"),
                !line.contains("void"), !line.contains("note")
            {
                continue
            }
            lines.append(line)
        }
        return PluginHeader(
            text: lines.joined(separator: "\n").replacing(
                "#define RQD_ABI_MINOR \(RQD_ABI_MINOR)u", with: "#define RQD_ABI_MINOR \(minor)u"))
    }

    /// Assertions on the layout: of offsets, and of sizes.
    func assertions(_ kind: String) -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("RQD_\(kind)_(") }.map(String.init)
    }

    /// Numbers, limits and names of interfaces.
    var constants: [String: String] {
        var found: [String: String] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("#define RQD_") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard words.count > 2, !words[1].contains("("), words[2] != "\\" else { continue }
            found[String(words[1])] = String(words[2])
        }
        return found
    }

    /// The whole plugin that is printed in it.
    var example: String? {
        let parts = text.components(separatedBy: "----8<----")
        guard parts.count == 3 else { return nil }
        return parts[1].split(separator: "\n", omittingEmptySubsequences: false).dropFirst()
            .map { $0.hasPrefix(" * ") ? String($0.dropFirst(3)) : "" }.joined(separator: "\n")
    }

    /// The lines of the recipe for a note that begins with `language`, without comment signs.
    func recipe(_ language: String) -> String? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(where: { $0.hasPrefix(" * \(language) (") }) else {
            return nil
        }
        return lines[(start + 1)...].prefix { $0.hasPrefix(" *     ") }
            .map { $0.dropFirst(" *     ".count) }.joined(separator: "\n")
    }
}
