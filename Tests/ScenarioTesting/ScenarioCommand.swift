/// A line of a transcript: a name, words, and options such as `count=3`.
package struct ScenarioCommand {
    package let name: String
    package let words: [String]
    package let options: [(name: String, value: String)]

    package init(_ line: String) {
        let parts = line.split(separator: " ").map(String.init)
        name = parts.first ?? ""
        words = parts.dropFirst().filter { !$0.contains("=") }
        options = parts.dropFirst().compactMap { part in
            part.firstIndex(of: "=").map {
                (String(part[..<$0]), String(part[part.index(after: $0)...]))
            }
        }
    }

    package subscript(option: String) -> String? { options.first { $0.name == option }?.value }

    package var node: Int { words.first.flatMap { Int($0) } ?? 0 }
    package var second: Int { words.count > 1 ? Int(words[1]) ?? 0 : 0 }

    package func list(_ option: String) -> [Int]? { self[option].map(Self.list) }

    package static func list(_ text: String) -> [Int] {
        text.filter { $0 != "(" && $0 != ")" }.split(separator: ",").compactMap { Int($0) }
    }
}
