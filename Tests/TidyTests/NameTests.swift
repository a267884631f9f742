import Testing

/// Names, documentation, and what a compiler doesn't see.
@Suite struct NameTests {
    private let repository = Repository()
    private let sources: [SwiftSource]

    init() throws { sources = try Repository().swiftSources() }

    /// Files of the daemon's modules, by module.
    private var modules: [String: [SwiftSource]] {
        Dictionary(
            grouping: sources.filter {
                $0.path.hasPrefix("Sources/Host/") || $0.path.hasPrefix("Sources/Simulation/")
            }, by: \.module)
    }

    @Test func `What others can see says what it means`() {
        var all = Documentation()
        for (module, files) in modules.sorted(by: { $0.key < $1.key }) {
            let found = files.map { Documentation(of: $0) }.reduce(Documentation(), +)
            all = all + found
            let least = TidyRules.leastDocumented
            guard found.percent < least else { continue }
            let examples = files.flatMap { file in
                Documentation(of: file).missing.map { "\(file.path):\($0)" }
            }
            Issue.record(
                "\(module): \(found.percent) % of \(found.count) declarations are documented, not \(least) %: \(examples.prefix(10).joined(separator: ", "))"
            )
        }
        #expect(all.count > 1000)
    }

    @Test func `Documentation is counted where there is something to say`() {
        let source = SwiftSource(
            path: "x.swift",
            text: """
                /// A point.
                package struct Point {
                    package var x: Int
                    /// Of it.
                    @inlinable
                    package private(set) var y: Int
                    var inner: Int
                    package init(x: Int, y: Int) {
                        self.x = x
                        self.y = y
                    }
                    package init(
                        y: Int
                    ) {
                        self.y = y
                        x = 3
                    }
                    package var description: String { "" }
                    package static func < (a: Point, b: Point) -> Bool { a.x < b.x }
                    package func far() {}
                }
                package import Other
                """)
        let found = Documentation(of: source)
        #expect(found.documented == 2)
        #expect(found.missing == [3, 12, 20])
        #expect(found.percent == 40)
    }

    @Test func `No type bears its module's name`() {
        for (module, files) in modules {
            for file in files {
                for name in Self.types(of: file)
                where name == module {
                    Issue.record("\(file.path): \(module).\(name): name it by what it is")
                }
            }
        }
    }

    @Test func `No type is called a store`() {
        for source in sources where source.path.hasPrefix("Sources/") {
            for name in Self.types(of: source) where name.hasSuffix("Store") {
                Issue.record("\(source.path): \(name): say what it keeps, and how")
            }
        }
    }

    /// Swift seeds hashing anew in each process: what goes over a dictionary or a set in its own
    /// order does something else each time.
    @Test func `Deterministic modules don't go over dictionaries and sets in their own order`() {
        for module in TidyRules.deterministic {
            for file in modules[module] ?? [] {
                let names = Set(Self.unordered(in: file))
                for (index, line) in file.code.enumerated() {
                    guard let name = Self.looped(line), names.contains(name),
                        TidyRules.anyOrder["\(file.path): \(name)"] == nil
                    else { continue }
                    Issue.record(
                        "\(file.path):\(index + 1): \(name) in no order: sort it, or list it with the reason why its order can't matter"
                    )
                }
            }
        }
    }

    @Test func `Every scenario is played`() throws {
        for folder in repository.files(below: "Tests").filter({ $0.contains("/Scenarios/") })
            .map({ $0.components("/Scenarios/")[0] }).unique
        {
            let tests = try repository.files(below: folder).filter { $0.hasSuffix(".swift") }
                .map { try repository.text($0) }
            let plays = tests.contains { $0.contains("ScenarioFolder(") }
            #expect(plays, "\(folder)/Scenarios is read by no test")
            for file in repository.files(below: folder + "/Scenarios") {
                #expect(file.hasSuffix(".txt"), "\(file) is no transcript")
            }
        }
    }

    @Test func `Pages name only files that exist`() throws {
        let path = try Regex(
            #"`((?:Sources|Plugins|Tests|scripts|packaging|docs|Examples)/[A-Za-z0-9_+./-]+)`"#,
            as: (Substring, Substring).self)
        let pages =
            ["README.md", "CONTRIBUTING.md"]
            + repository.files(below: "docs").filter {
                $0.hasSuffix(".md") && !$0.contains("/decisions/")
            }
        for page in pages {
            for match in try repository.text(page).matches(of: path) {
                let file = String(match.output.1)
                #expect(repository.exists(file), "\(page) names \(file)")
            }
        }
    }

    private static func types(of source: SwiftSource) -> [String] {
        ["struct ", "class ", "enum ", "actor ", "protocol "].flatMap { kind in
            SwiftSource.matches(of: kind, in: source.codeBytes).map { match in
                let rest = source.codeBytes[(match.offset + kind.utf8.count)...]
                return String(
                    decoding: rest.prefix { byte in
                        UnicodeScalar(byte).properties.isAlphabetic
                            || ("0"..."9").contains(UnicodeScalar(byte))
                    }, as: UTF8.self)
            }
        }
    }

    /// Names of properties and variables that are declared as dictionaries or sets.
    private static func unordered(in source: SwiftSource) -> [String] {
        source.code.compactMap { line in
            let words = line.split(separator: " ")
            guard let keyword = words.firstIndex(where: { $0 == "var" || $0 == "let" }),
                keyword + 2 < words.count, words[keyword + 1].hasSuffix(":")
            else { return nil }
            let type = words[keyword + 2]
            let isDictionary = type.hasPrefix("[") && !type.hasPrefix("[(") && type.hasSuffix(":")
            guard isDictionary || type.hasPrefix("Set<") || type.hasPrefix("Dictionary<") else {
                return nil
            }
            return String(words[keyword + 1].dropLast())
        }
    }

    /// What a loop goes over, if that is a name and nothing is done with it first.
    private static func looped(_ line: Substring) -> String? {
        let words = line.split(separator: " ")
        guard words.first == "for", let keyword = words.firstIndex(of: "in"),
            keyword + 1 < words.count
        else { return nil }
        var name = words[keyword + 1]
        for part in [".values", ".keys"] where name.hasSuffix(part) {
            name = name.dropLast(part.count)
        }
        if name.hasPrefix("self.") { name = name.dropFirst(5) }
        return name.allSatisfy { $0.isLetter || $0.isNumber } ? String(name) : nil
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}

extension [String] {
    fileprivate var unique: [String] { Array(Set(self)).sorted() }
}
