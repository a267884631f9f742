internal import SQLite

/// What may not stand in the text of a CREATE or ALTER, which becomes part of the schema.
///
/// SQLite resolves the functions in a view, a trigger or a default only when they are used, so its
/// authorizer is asked too late. The words are looked for instead: a function is a name followed by
/// an opening parenthesis, whatever stands around it.
enum SchemaRules {
    /// Functions whose results differ between builds of SQLite, or show where rows lie in the file.
    static let nodeLocalFunctions: Set<String> = [
        "sqlite_version", "sqlite_source_id", "sqlite_compileoption_used",
        "sqlite_compileoption_get", "fts5_source_id", "sqlite_offset",
    ]

    /// Why the statement is refused, in words for the client; nil when it isn't.
    static func refusal(of sql: UnsafeRawBufferPointer) -> String? {
        var tokens = SQLTokenizer(sql)
        guard case .word(let first)? = firstToken(&tokens),
            tokens.isKeyword(first, "CREATE") || tokens.isKeyword(first, "ALTER")
        else { return nil }
        if isCompiledByUsers(tokens),
            StatementSize(stored: sql).cost.steps > CompilationCost.mostStored
        {
            return "the view or trigger takes too long to be compiled: use fewer window functions, "
                + "aggregates and terms of ORDER BY and GROUP BY in it"
        }
        if isCompiledByUsers(tokens), let refusal = FormatRule.refusal(of: sql) { return refusal }
        if let options = behindVirtual(tokens),
            let refusal = ModuleOptions.refusal(behind: options, in: sql)
        {
            return refusal
        }
        if isNamedIf(tokens) {
            return
                "SQLite can't read back what it stores of an object whose name is IF: put the name in quotes"
        }
        var last: String?
        while let token = tokens.next() {
            switch token {
            case .word(let range), .quoted(let range):
                let word = tokens.lowercased(range)
                // Also within a text: arguments of virtual tables name the tables they read.
                if word.utf8.containsNamePrefix {
                    return "names that begin with \(MetadataTable.namePrefix) are the daemon's own"
                }
                last = sql[range.lowerBound - 1] == UInt8(ascii: "'") ? nil : word
            case .other(UInt8(ascii: "(")):
                if let name = last,
                    nodeLocalFunctions.contains(name) || SQLExtensions.isUnsteady(name)
                {
                    return Guard.nodeLocalText("\(name)()")
                }
                last = nil
            default: last = nil
            }
        }
        return nil
    }

    /// Whether [TEMP] VIEW or TRIGGER follows: statements that use them compile them, and CREATE does not.
    private static func isCompiledByUsers(_ tokens: SQLTokenizer) -> Bool {
        var following = tokens
        guard case .word(var range)? = following.next() else { return false }
        if following.isKeyword(range, "TEMP") || following.isKeyword(range, "TEMPORARY") {
            guard case .word(let second)? = following.next() else { return false }
            range = second
        }
        return following.isKeyword(range, "VIEW") || following.isKeyword(range, "TRIGGER")
    }

    /// Nil where the word VIRTUAL does not follow.
    private static func behindVirtual(_ tokens: SQLTokenizer) -> SQLTokenizer? {
        var following = tokens
        guard case .word(let range)? = following.next(), following.isKeyword(range, "VIRTUAL")
        else { return nil }
        return following
    }

    /// Whether the object's name is IF without quotes. SQLite stores the text from the name on: CREATE TABLE
    /// main.IF(a) becomes CREATE TABLE IF(a), for whose sake no connection could read the schema again.
    private static func isNamedIf(_ tokens: SQLTokenizer) -> Bool {
        var tokens = tokens
        repeat {
            guard case .word(let range)? = tokens.next() else { return false }
            if kinds.contains(where: { tokens.isKeyword(range, $0) }) { break }
        } while true
        var name = tokens.next()
        if case .word(let range)? = name, tokens.isKeyword(range, "IF") {
            var following = tokens
            if case .word(let second)? = following.next(), tokens.isKeyword(second, "NOT"),
                following.next() != nil
            {
                tokens = following
                name = tokens.next()
            }
        }
        var following = tokens
        if following.next() == .other(UInt8(ascii: ".")) { name = following.next() }
        guard case .word(let range)? = name else { return false }
        return tokens.isKeyword(range, "IF")
    }

    private static let kinds: [StaticString] = ["TABLE", "VIEW", "INDEX", "TRIGGER"]

    private static func firstToken(_ tokens: inout SQLTokenizer) -> SQLTokenizer.Token? {
        while let token = tokens.next() {
            if token != .semicolon { return token }
        }
        return nil
    }
}

extension String.UTF8View {
    /// By bytes: what combines with the last letter hides it from Swift's characters.
    fileprivate var containsNamePrefix: Bool {
        let prefix = MetadataTable.namePrefix.utf8
        guard count >= prefix.count else { return false }
        return indices.contains { self[$0...].starts(with: prefix) }
    }
}
