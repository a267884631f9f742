import Foundation
import Testing

/// What the project's pages promise about its files.
@Suite struct DocumentTests {
    let repository = Repository()

    @Test func `The change log has a section for what is not released`() throws {
        let lines = try repository.text("CHANGELOG.md").split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("## ") && $0.contains("Unreleased") })
    }

    @Test func `The map shows every module of the daemon`() throws {
        let map = try repository.text("docs/architecture.md")
        let modules = try repository.folders(in: "Sources/Host").flatMap {
            try repository.folders(in: "Sources/Host/\($0)")
        }
        #expect(modules.count > 20)
        for module in try modules + repository.folders(in: "Sources/Simulation") {
            #expect(map.contains("| \(module)"), "docs/architecture.md has no row for \(module)")
        }
    }

    @Test func `The map has what each module depends on, all of it above the module`() throws {
        let row = try Regex(
            #"^\| ([A-Za-z]+)(?: ◆)? \| .* \| ([^|]+) \|$"#,
            as: (Substring, Substring, Substring).self
        ).anchorsMatchLineEndings()
        let rows = try repository.text("docs/architecture.md").matches(of: row).map {
            (
                module: String($0.output.1),
                dependencies: $0.output.2.components(separatedBy: ", ")
            )
        }
        let target = try Regex(
            #"host\(\s*\.\w+,\s*"(\w+)"(?:,\s*\[([^\]]*)\])?"#,
            as: (Substring, Substring, Substring?).self)
        let targets = try repository.text("Package.swift").matches(of: target)
        #expect(targets.count > 20)
        let modules = Set(rows.map { $0.module })
        for target in targets {
            let module = String(target.output.1)
            let place = try #require(rows.firstIndex { $0.module == module }, "\(module)")
            let named = Set(rows[place].dependencies).intersection(modules)
            // What stands between quotes is every second part.
            let quoted = (target.output.2 ?? "").components(separatedBy: "\"").enumerated()
                .filter { !$0.offset.isMultiple(of: 2) }.map { $0.element }
            #expect(named == Set(quoted).intersection(modules), "\(module)")
            #expect(named.isSubset(of: rows[..<place].map { $0.module }), "\(module)")
        }
    }

    @Test func `Each hop of the walks names a file and a function that exist`() throws {
        let walks = try Walk.all(in: repository.text("docs/architecture.md"))
        #expect(walks.map(\.hops.count).reduce(0, +) >= 20)
        for hop in walks.flatMap(\.hops) {
            let path = "Sources/Host/\(hop.file)"
            try #require(repository.exists(path), "\(path)")
            let text = try repository.text(path)
            #expect(text.contains("func \(hop.function)("), "\(path): \(hop.function)")
        }
    }

    @Test func `A hop of a walk goes up a layer only where it is marked`() throws {
        let walks = try Walk.all(in: repository.text("docs/architecture.md"))
        #expect(walks.count == 2)
        for walk in walks {
            #expect(walk.hops.map(\.number) == Array(1...walk.hops.count))
            for (hop, next) in zip(walk.hops, walk.hops.dropFirst()) {
                let from = try #require(hop.depth, "\(hop.file)")
                let to = try #require(next.depth, "\(next.file)")
                #expect(
                    next.isMarked == (to < from),
                    "hop \(next.number), \(next.file), comes after \(hop.file)")
            }
        }
    }

    @Test func `Pages point only at files that exist`() throws {
        let pages =
            ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
            + repository.files(below: "docs").filter { $0.hasSuffix(".md") }
        #expect(pages.count > 3)
        for page in pages {
            let folder = page.split(separator: "/").dropLast().joined(separator: "/")
            for target in try Self.links(repository.text(page)) {
                let path = Self.resolved(target, from: folder)
                #expect(repository.exists(path), "\(page) points at \(target)")
            }
        }
    }

    /// rqlite's guide on automatic clustering makes 22 promises about what the daemon does.
    @Test func `Each promise of the guide has an end-to-end test with its number`() throws {
        let name = try Regex(#"func `Promises? ([0-9, and]+):"#, as: (Substring, Substring).self)
        var numbers: Set<Int> = []
        for file in repository.files(below: "Tests/EndToEndTests") where file.hasSuffix(".swift") {
            for match in try repository.text(file).matches(of: name) {
                let list = match.output.1.split { !$0.isNumber }
                numbers.formUnion(list.compactMap { Int($0) })
            }
        }
        #expect(numbers == Set(1...22), "\(Set(1...22).subtracting(numbers).sorted()) lack one")
    }

    @Test func `The table of the guide's promises has each of them, with tests that exist`() throws
    {
        let page = try repository.text("docs/clustering.md")
        let start = try #require(page.range(of: "## What rqlite's guide promises"))
        let rows = page[start.upperBound...].split(separator: "\n").prefix { $0 != "## Messages" }
            .filter { $0.hasPrefix("| ") && $0.contains(" | ") }
            .map { $0.dropFirst(2).dropLast(2).components(separatedBy: " | ") }
            .filter { Int($0[0]) != nil }
        #expect(rows.map { Int($0[0]) } == Array(1...22))
        let suites = try suites()
        let promise = try Regex(
            #"Promises? ([0-9]+(?:(?:, | and )[0-9]+)*)"#, as: (Substring, Substring).self)
        for row in rows {
            #expect(row.count == 4, "\(row)")
            let (kept, shown) = (row[2], row[3])
            #expect(
                kept.hasPrefix("verbatim") || kept.hasPrefix("safer: "), "\(row[0]): \(kept)")
            let quoted = shown.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { !$0.offset.isMultiple(of: 2) }.map { String($0.element) }
            for name in quoted {
                let isThere =
                    suites[name] != nil || repository.files(below: "Tests/\(name)").count > 0
                #expect(isThere, "promise \(row[0]) is shown by \(name), which is nowhere")
            }
            let all = suites.values.joined()
            for match in shown.matches(of: promise) {
                let title = "`\(match.output.0):"
                #expect(all.contains { $0.hasPrefix(title) }, "no test begins with \(title)")
            }
            #expect(!quoted.isEmpty || !shown.matches(of: promise).isEmpty, "\(row[0])")
        }
    }

    /// The names of tests, each after a backquote, by the suite of the file.
    private func suites() throws -> [String: [String]] {
        let suite = try Regex(#"struct (\w+Tests)\b"#, as: (Substring, Substring).self)
        let test = try Regex("func (`[^`]+)`", as: (Substring, Substring).self)
        var suites: [String: [String]] = [:]
        for file in repository.files(below: "Tests") where file.hasSuffix(".swift") {
            let text = try repository.text(file)
            guard let name = text.firstMatch(of: suite)?.output.1 else { continue }
            suites[String(name), default: []] += text.matches(of: test).map { String($0.output.1) }
        }
        return suites
    }

    @Test func `Each test that the page on SQL names exists`() throws {
        var names: Set<String> = []
        for line in try repository.text("docs/sql-safety.md").split(separator: "\n") {
            let cells = line.split(separator: " | ")
            guard line.hasPrefix("| "), cells.count == 2, let last = cells.last else { continue }
            // What stands between backquotes is every second part.
            let parts = last.split(separator: "`", omittingEmptySubsequences: false)
            for (place, part) in parts.enumerated() where !place.isMultiple(of: 2) {
                names.insert(String(part))
            }
        }
        #expect(names.count >= 40)
        let name = try Regex("func `([^`]+)`", as: (Substring, Substring).self)
        for file in repository.files(below: "Tests") where file.hasSuffix(".swift") {
            for match in try repository.text(file).matches(of: name) {
                names.remove(String(match.output.1))
            }
        }
        // A part of a transcript is named by the sentence above it.
        for file in repository.files(below: "Tests")
        where file.hasSuffix(".txt") && file.contains("/Scenarios/") {
            for line in try repository.text(file).split(separator: "\n")
            where line.hasPrefix("# ") && line.hasSuffix(".") {
                names.remove(String(line.dropFirst(2).dropLast()))
            }
        }
        #expect(names.isEmpty, "\(names.sorted())")
    }

    @Test func `The service makes the directories in which pages put sockets`() throws {
        let unit = try repository.text("packaging/systemd/rqlited.service")
        let socket = try Regex(
            "-http-addr unix:/run/([^/]+)/", as: (Substring, Substring).self)
        var folders: Set<String> = []
        for page in repository.files(below: "docs") where page.hasSuffix(".md") {
            for match in try repository.text(page).matches(of: socket) {
                folders.insert(String(match.output.1))
            }
        }
        #expect(!folders.isEmpty)
        for folder in folders { #expect(unit.contains("\nRuntimeDirectory=\(folder)\n")) }
    }

    /// systemd takes the end by SIGHUP for one that was wanted.
    @Test func `The service starts a node again that a signal for reading files again ended`()
        throws
    {
        let unit = try repository.text("packaging/systemd/rqlited.service")
        #expect(unit.contains("\nRestart=on-failure\n"))
        #expect(unit.contains("\nRestartForceExitStatus=SIGHUP\n"))
    }

    @Test func `Scripts are POSIX shell that stops at the first error`() throws {
        let scripts = try repository.plainFiles(in: "scripts")
        #expect(scripts.count >= 5)
        for script in scripts {
            let text = try repository.text(script)
            #expect(text.hasPrefix("#!/bin/sh\n"), "\(script)")
            #expect(text.contains("\nset -eu\n"), "\(script)")
            #expect(repository.isExecutable(script), "\(script)")
        }
        #expect(repository.isExecutable(".ci/run"))
    }

    /// Targets of Markdown links to files, without fragments.
    private static func links(_ text: String) throws -> [String] {
        let link = try Regex(#"\]\(([^)\s]+)\)"#, as: (Substring, Substring).self)
        return text.matches(of: link).map { String($0.output.1) }
            .filter { !$0.contains("://") && !$0.hasPrefix("#") }
            .map { String($0.prefix { $0 != "#" }) }
    }

    private static func resolved(_ target: String, from folder: String) -> String {
        var parts = folder.split(separator: "/")
        for part in target.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }
}

/// A table of `docs/architecture.md` whose rows follow one thing through the files.
private struct Walk {
    struct Hop {
        let number: Int
        /// Marked as one that brings effects or results up.
        let isMarked: Bool
        /// Below `Sources/Host`.
        let file: String
        let function: String

        /// Of its layer, from the outside in; nil in none.
        var depth: Int? {
            Walk.layers.firstIndex(of: String(file.prefix { $0 != "/" }))
        }
    }

    /// As `Package.swift` names them, outside in.
    static let layers = [
        "Daemon", "Edge", "Node", "Peers", "Formation", "Consensus", "Database", "Base",
    ]

    let hops: [Hop]

    static func all(in page: String) throws -> [Walk] {
        let row = try Regex(
            #"^\| (\d+)( ↩)? \| `([^`]+\.swift)` `([A-Za-z]+)` \|"#,
            as: (Substring, Substring, Substring?, Substring, Substring).self
        ).anchorsMatchLineEndings()
        return page.split(separator: "\n## ").map { section in
            Walk(
                hops: section.matches(of: row).compactMap { match in
                    Int(match.output.1).map {
                        Hop(
                            number: $0, isMarked: match.output.2 != nil,
                            file: String(match.output.3), function: String(match.output.4))
                    }
                })
        }.filter { !$0.hops.isEmpty }
    }
}
