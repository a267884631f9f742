import Testing

/// The words of types' names, and names themselves.
@Suite struct WordTests {
    private let repository = Repository()
    private let sources: [SwiftSource]

    init() throws { sources = try Repository().swiftSources() }

    @Test func `Every word of a type's name is in the glossary, or plain`() throws {
        let known = try Words.ofGlossary(repository.text("docs/GLOSSARY.md")).union(PlainWords.all)
        #expect(known.count > 300)
        for source in sources where source.path.hasPrefix("Sources/Host/") {
            for type in DeclaredType.all(in: source) {
                for word in Words.split(type.name)
                where !Words.forms(of: word).contains(where: known.contains) {
                    Issue.record(
                        "\(source.path):\(type.line): \(type.name): say in docs/GLOSSARY.md what \"\(word)\" means here, or list it as a plain word"
                    )
                }
            }
        }
    }

    @Test func `A word that the glossary explains is not listed as plain`() throws {
        let glossary = try Words.ofGlossary(repository.text("docs/GLOSSARY.md"))
        #expect(PlainWords.all.intersection(glossary) == [])
    }

    @Test func `Names fall into words`() {
        #expect(Words.split("HTTPServer") == ["http", "server"])
        #expect(Words.split("SplitMix64") == ["split", "mix64"])
        #expect(Words.split("NodeID") == ["node", "id"])
        #expect(Words.split("RowSet") == ["row", "set"])
        #expect(Words.forms(of: "dialer").contains("dial"))
        #expect(Words.forms(of: "stored").contains("store"))
        #expect(Words.forms(of: "queries").contains("query"))
    }

    /// Who reads `Introduction` must not have to look which one is meant.
    @Test(arguments: ["Sources/", "Plugins/"])
    func `No two types that may meet in one program bear one name`(below folder: String) {
        var places: [String: Set<String>] = [:]
        for source in sources where source.path.hasPrefix(folder) {
            for type in DeclaredType.all(in: source) where type.isTopLevel {
                places[type.name, default: []].insert(source.path)
            }
        }
        #expect(places.count > 50)
        for (name, paths) in places
        where paths.count > 1 && TidyRules.sharedNames[name] == nil {
            Issue.record("\(name) is declared in \(paths.sorted().joined(separator: " and "))")
        }
        guard folder == "Sources/" else { return }
        for name in TidyRules.sharedNames.keys {
            #expect((places[name]?.count ?? 0) > 1, "\(name) needs no exception")
        }
    }
}

/// A struct, class, enum, actor or protocol where it is declared.
struct DeclaredType: Equatable {
    let name: String
    /// From 1.
    let line: Int
    let isTopLevel: Bool

    static func all(in source: SwiftSource) -> [DeclaredType] {
        source.code.enumerated().compactMap { index, line in
            let words = line.split(separator: " ")
            guard let kind = words.firstIndex(where: { kinds.contains($0) }),
                kind + 1 < words.count,
                words[..<kind].allSatisfy({ modifiers.contains($0) || $0.hasPrefix("@") })
            else { return nil }
            let name = words[kind + 1].prefix { $0.isLetter || $0.isNumber || $0 == "_" }
            guard name.first?.isUppercase == true else { return nil }
            return DeclaredType(
                name: String(name), line: index + 1, isTopLevel: !line.hasPrefix(" "))
        }
    }

    private static let kinds: Set<Substring> = ["struct", "class", "enum", "actor", "protocol"]
    private static let modifiers: Set<Substring> = [
        "package", "public", "internal", "private", "fileprivate", "final", "indirect",
    ]
}

/// Words of names and pages, in lower case.
enum Words {
    /// `HTTPServer` is `http` and `server`: a new word begins with a capital letter, runs of them
    /// are one word.
    static func split(_ name: String) -> [String] {
        var words: [String] = []
        let letters = Array(name)
        for (index, letter) in letters.enumerated() where letter != "_" {
            let before = index > 0 ? letters[index - 1] : "_"
            let isNew =
                letter.isUppercase
                && (!before.isUppercase
                    || (index + 1 < letters.count && letters[index + 1].isLowercase))
            if isNew || words.isEmpty { words.append("") }
            words[words.count - 1] += letter.lowercased()
        }
        return words
    }

    /// The word, and what it may be a plural or another form of.
    static func forms(of word: String) -> [String] {
        var forms = [word]
        for ending in ["s", "es", "d", "ed", "ing", "er", "r", "or"] where word.hasSuffix(ending) {
            let stem = String(word.dropLast(ending.count))
            forms += [stem, stem + "e"]
        }
        if word.hasSuffix("ies") { forms.append(word.dropLast(3) + "y") }
        return forms
    }

    /// The words that its rows explain.
    static func ofGlossary(_ page: String) -> Set<String> {
        var words: Set<String> = []
        for row in page.split(separator: "\n")
        where row.hasPrefix("| ") && !row.hasPrefix("| word |") {
            let term = row.split(separator: "|").first ?? ""
            for name in term.split(whereSeparator: { !$0.isLetter }) {
                words.formUnion(split(String(name)))
            }
        }
        return words
    }
}
