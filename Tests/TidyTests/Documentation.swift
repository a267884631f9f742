/// Which declarations of a file that others can see say what they mean.
///
/// Counted is what is declared `package` or `public`, but for what has nothing of its own to say:
/// initialisers that only assign their parameters to properties of the same names, the empty one,
/// and requirements of protocols that are documented there or known to all (`description`, `<`,
/// `==`, `hash(into:)`, `encode(into:)`, `init(from:)` of Wire).
struct Documentation: Equatable {
    /// Lines, counted from 1, of declarations without a doc comment.
    var missing: [Int] = []
    var documented = 0

    var count: Int { documented + missing.count }

    init() {}

    init(of source: SwiftSource) {
        for index in source.code.indices {
            guard let declaration = Self.declaration(source.code[index]),
                !Self.saysNothingNew(declaration),
                !(declaration.contains("init(") && Self.onlyAssigns(source.code[index...]))
            else { continue }
            if Self.isDocumented(source, index) {
                documented += 1
            } else {
                missing.append(index + 1)
            }
        }
    }

    static func + (a: Documentation, b: Documentation) -> Documentation {
        var sum = Documentation()
        sum.missing = a.missing + b.missing
        sum.documented = a.documented + b.documented
        return sum
    }

    /// Of 100 declarations; all, where there are none.
    var percent: Int { count == 0 ? 100 : documented * 100 / count }

    private static let kinds: Set<Substring> = [
        "func", "var", "let", "struct", "class", "enum", "actor", "protocol", "typealias",
    ]

    /// The declaration without its attributes and access level; nil if the line holds none that
    /// others can see.
    private static func declaration(_ line: Substring) -> String? {
        var words = line.split(separator: " ")
        while words.first?.hasPrefix("@") == true { words.removeFirst() }
        guard let access = words.prefix(4).firstIndex(where: { $0 == "package" || $0 == "public" })
        else { return nil }
        let rest = words[(access + 1)...]
        guard rest.first != "import", rest.first != "extension" else { return nil }
        let isDeclaration = rest.contains { word in
            kinds.contains(word) || word.hasPrefix("init(") || word.hasPrefix("init?(")
                || word.hasPrefix("init<") || word.hasPrefix("subscript(")
        }
        return isDeclaration ? rest.joined(separator: " ") : nil
    }

    private static func saysNothingNew(_ declaration: String) -> Bool {
        [
            "var description:", "static func <", "static func ==", "func hash(into",
            "func encode(into writer", "init(from reader", "init() {}",
        ].contains { declaration.hasPrefix($0) || declaration.contains(" " + $0) }
            || declaration.hasPrefix("init() {}")
    }

    private static func isDocumented(_ source: SwiftSource, _ index: Int) -> Bool {
        var line = index - 1
        while line >= 0, trimmed(source.lines[line]).hasPrefix("@") { line -= 1 }
        return line >= 0 && trimmed(source.lines[line]).hasPrefix("///")
    }

    /// An initialiser whose body only hands its parameters on to properties of their names.
    private static func onlyAssigns(_ lines: ArraySlice<Substring>) -> Bool {
        guard let first = lines.first else { return false }
        let indent = first.prefix { $0 == " " }
        var body: [Substring] = []
        var isInside = false
        for line in lines.prefix(60) {
            let text = trimmed(line)
            if !isInside {
                guard let brace = line.lastIndex(of: "{") else { continue }
                isInside = true
                let rest = trimmed(line[line.index(after: brace)...])
                guard rest.isEmpty else {
                    body = [trimmed(rest.prefix { $0 != "}" })]
                    break
                }
            } else if line == indent + "}" {
                break
            } else if !text.isEmpty {
                body.append(text)
            }
        }
        return !body.isEmpty
            && body.allSatisfy { statement in
                let sides = statement.replacing("self.", with: "").split(separator: " = ")
                return sides.count == 2 && sides[0] == sides[1]
            }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let start = text.drop { $0 == " " }
        return start.lastIndex { $0 != " " }.map { start[...$0] } ?? ""
    }
}
