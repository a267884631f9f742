import Testing

/// Taste that a machine can check. Each failure names file, line and what to write instead.
@Suite struct TidyTests {
    /// Read once: every test and every case makes an instance of the suite.
    private static let loaded = Result { try Repository().swiftSources() }

    let sources: [SwiftSource]

    init() throws {
        sources = try Self.loaded.get()
    }

    private func isExcepted(_ path: String, _ rule: TidyException.Rule) -> Bool {
        TidyException.all.contains { $0.path == path && $0.rule == rule }
    }

    @Test func `There are sources to look at`() {
        #expect(sources.contains { $0.path.hasPrefix("Sources/Host/Consensus/Raft/") })
        #expect(sources.contains { $0.path.hasPrefix("Tests/") })
    }

    @Test(arguments: TidyRules.bans)
    func `Banned`(ban: Ban) {
        for source in sources where ban.holds(for: source.path) {
            guard !isExcepted(source.path, .ban(ban.pattern)) else { continue }
            for line in ban.lines(in: source.codeBytes) {
                Issue.record("\(source.path):\(line): \(ban.pattern): write \(ban.instead)")
            }
        }
    }

    @Test func `Foundation is linked neither by the daemon nor by plugins`() {
        for source in sources
        where source.path.hasPrefix("Sources/Host/") || source.path.hasPrefix("Plugins/") {
            for module in source.imports where module.hasPrefix("Foundation") {
                Issue.record("\(source.path): imports \(module): use Glibc")
            }
        }
    }

    @Test(arguments: TidyRules.deterministic)
    func `Deterministic modules import only what is deterministic`(module: String) throws {
        let allowed = try #require(TidyRules.allowedImports[module])
        for source in sources where source.module == module {
            for name in source.imports
            where !allowed.contains(name) && !isExcepted(source.path, .allowedImport(name)) {
                Issue.record("\(source.path): \(module) must not import \(name)")
            }
        }
    }

    /// `deinit` runs after a throw too, once all stored properties are set: the number may be
    /// another file's by then.
    @Test func `No initialiser closes what deinit closes`() {
        for source in sources {
            let closed = Set(
                source.functions.filter { source.opens($0, with: "deinit") }
                    .flatMap { source.descriptorsClosed(in: $0) })
            for function in source.functions where source.opens(function, with: "init") {
                for name in source.descriptorsClosed(in: function) where closed.contains(name) {
                    Issue.record("\(source.path):\(function.line): closes \(name), as deinit does")
                }
            }
        }
    }

    @Test func `Functions fit on a page`() {
        for source in sources where !isExcepted(source.path, .functionLength) {
            for function in source.functions where function.length > TidyRules.maxFunctionLines {
                Issue.record(
                    "\(source.path):\(function.line): a function of \(function.length) lines")
            }
        }
    }

    @Test func `Files can be read in one sitting`() {
        for source in sources where !isExcepted(source.path, .fileLength) {
            // The last line ends with a newline.
            let count = source.lines.count - 1
            if count > TidyRules.maxFileLines {
                Issue.record("\(source.path): \(count) lines")
            }
        }
    }

    @Test func `Every source file says what it is for`() {
        for source in sources
        where source.path.hasPrefix("Sources/") || source.path.hasPrefix("Plugins/") {
            // An aspect of a type has its name to say it: `Type+Aspect.swift`.
            guard !source.path.contains("+") else { continue }
            // On a type or, where there is none, about the file.
            let isDocumented = source.lines.contains { $0.hasPrefix("//") }
            if !isDocumented {
                Issue.record("\(source.path): no doc comment on a type or at the top")
            }
        }
    }

    @Test func `Promises to the compiler come with their proof`() {
        for source in sources
        where source.path.hasPrefix("Sources/") || source.path.hasPrefix("Plugins/") {
            for promise in ["@unchecked Sendable", "nonisolated(unsafe)"] {
                for match in SwiftSource.matches(of: promise, in: source.codeBytes) {
                    let nearby = source.lines[max(0, match.line - 13)..<match.line]
                    if !nearby.contains(where: { $0.contains("//") }) {
                        Issue.record("\(source.path):\(match.line): say why this is safe")
                    }
                }
            }
        }
    }

    @Test func `No type is named after nothing`() {
        let kinds = ["struct", "class", "enum", "actor", "protocol"]
        for source in sources {
            for kind in kinds {
                for match in SwiftSource.matches(of: kind + " ", in: source.codeBytes) {
                    let rest = source.codeBytes[(match.offset + kind.utf8.count + 1)...]
                    let name = String(decoding: rest.prefix { $0 > 0x2F }, as: UTF8.self)
                        .prefix { $0.isLetter || $0.isNumber }
                    if TidyRules.emptyNames.contains(where: { name.hasSuffix($0) }) {
                        Issue.record("\(source.path):\(match.line): \(name)")
                    }
                }
            }
        }
    }

    @Test func `Nothing is left for later in the code`() {
        // Put together, so that this file doesn't hold them.
        let marks = ["TO" + "DO", "FIX" + "ME"]
        for source in sources {
            for match in marks.flatMap({ SwiftSource.matches(of: $0, in: source.bytes) }) {
                Issue.record("\(source.path):\(match.line): do it, or write an issue")
            }
        }
    }

    @Test func `Every exception is still needed`() {
        for exception in TidyException.all {
            let source = sources.first { $0.path == exception.path }
            let isNeeded =
                source.map { source in
                    switch exception.rule {
                    case .ban(let pattern):
                        TidyRules.bans.contains { ban in
                            ban.pattern == pattern && ban.holds(for: source.path)
                                && !ban.lines(in: source.codeBytes).isEmpty
                        }
                    case .functionLength:
                        source.functions.contains { $0.length > TidyRules.maxFunctionLines }
                    case .fileLength: source.lines.count - 1 > TidyRules.maxFileLines
                    case .allowedImport(let name): source.imports.contains(name)
                    }
                } ?? false
            #expect(isNeeded, "\(exception.path): \(exception.rule)")
            #expect(!exception.reason.isEmpty)
        }
    }
}
