internal import SQLite
internal import Wire

/// What can be said about a request before any of it runs, from the words of its SQL alone.
///
/// It decides what is refused as a whole. Nothing depends on it being right about odd texts: when
/// the statements run, the session judges each by what SQLite compiled.
struct RequestScan: Equatable {
    /// One of rqlite's five PRAGMAs stands in the request.
    private(set) var hasDisallowedPragma = false
    /// The words that open and close transactions, in order.
    private(set) var controls: [StatementFacts.Control] = []

    /// Why the request is refused as a whole; nil when it is not.
    static func refusal(of statements: [Statement], isTransaction: Bool) -> String? {
        var scan = RequestScan()
        for statement in statements { scan.add(statement.sql) }
        if scan.hasDisallowedPragma { return "disallowed pragma" }
        // In a transaction request each of these fails where it stands.
        return isTransaction ? nil : scan.imbalance
    }

    /// A text that ends each transaction that it begins, if all of it is carried out.
    static func isComplete(_ sql: String) -> Bool {
        var scan = RequestScan()
        scan.add(sql)
        return scan.imbalance == nil
    }

    mutating func add(_ sql: String) {
        var sql = sql
        sql.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// A transaction that is still open at the end would swallow the requests of other clients.
    var imbalance: String? {
        var open: ExplicitTransaction?
        var opener = ""
        for control in controls {
            switch control {
            case .begin where open == nil:
                open = ExplicitTransaction(savepoint: nil)
                opener = "BEGIN"
            case .savepoint(let name) where open == nil:
                open = ExplicitTransaction(savepoint: name)
                opener = "SAVEPOINT"
            case .savepoint(let name): open?.push(name)
            case .release(let name):
                if open?.release(name) == .endsTransaction { open = nil }
            case .commit, .rollback: open = nil
            case .begin, .rollbackTo: break
            }
        }
        guard open != nil else { return nil }
        return "\(opener) without its end in the same request: a transaction can't outlive its "
            + "request, use the transaction parameter instead"
    }

    private mutating func add(_ sql: UnsafeRawBufferPointer) {
        guard Self.mayMatter(sql) else { return }
        var tokens = SQLTokenizer(sql)
        var triggerDepth = TriggerRule()
        var isAtStart = true
        while let token = tokens.next() {
            switch token {
            case .semicolon:
                isAtStart = triggerDepth.endsStatement(at: &tokens)
            case .word(let range) where isAtStart:
                isAtStart = false
                triggerDepth = TriggerRule()
                addStatement(startingWith: range, &tokens, &triggerDepth)
            default:
                isAtStart = false
            }
        }
    }

    /// Looks where a text that goes on may be cut, once over all of it.
    /// - Returns: how many of its bytes are whole statements, to the end of a line; nil: none are.
    static func wholeLines(of sql: UnsafeRawBufferPointer) -> Int? {
        var tokens = SQLTokenizer(sql)
        var trigger = TriggerRule()
        var isAtStart = true
        var end: Int?
        while let token = tokens.next() {
            switch token {
            case .semicolon:
                isAtStart = trigger.endsStatement(at: &tokens)
                let behind = tokens.offset
                // Not so behind an `; END` of which nobody knows yet what follows.
                guard isAtStart, sql[behind - 1] == UInt8(ascii: ";") else { break }
                trigger = TriggerRule()
                let next = sql[behind...].firstIndex { ![9, 13, 32].contains($0) }
                if let next, sql[next] == UInt8(ascii: "\n") { end = next + 1 }
            case .word(let range) where isAtStart:
                isAtStart = false
                trigger = TriggerRule()
                trigger.begin(with: range, &tokens)
            default:
                isAtStart = false
            }
        }
        return end
    }

    /// A cheap first look: most texts hold none of the beginnings of these words.
    private static func mayMatter(_ sql: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index + 3 <= sql.count {
            let next = (sql[index + 1] | 0x20, sql[index + 2] | 0x20)
            let found =
                switch sql[index] | 0x20 {
                case UInt8(ascii: "p"): next == (UInt8(ascii: "r"), UInt8(ascii: "a"))  // PRAGMA
                case UInt8(ascii: "b"): next == (UInt8(ascii: "e"), UInt8(ascii: "g"))  // BEGIN
                case UInt8(ascii: "s"): next == (UInt8(ascii: "a"), UInt8(ascii: "v"))  // SAVEPOINT
                case UInt8(ascii: "c"): next == (UInt8(ascii: "o"), UInt8(ascii: "m"))  // COMMIT
                case UInt8(ascii: "r"):
                    next == (UInt8(ascii: "o"), UInt8(ascii: "l"))  // ROLLBACK
                        || next == (UInt8(ascii: "e"), UInt8(ascii: "l"))  // RELEASE
                case UInt8(ascii: "e"): next == (UInt8(ascii: "n"), UInt8(ascii: "d"))  // END
                default: false
                }
            if found { return true }
            index += 1
        }
        return false
    }

    private mutating func addStatement(
        startingWith word: Range<Int>, _ tokens: inout SQLTokenizer, _ trigger: inout TriggerRule
    ) {
        if tokens.isKeyword(word, "PRAGMA") {
            addPragma(&tokens)
        } else if tokens.isKeyword(word, "BEGIN") {
            controls.append(.begin)
        } else if tokens.isKeyword(word, "COMMIT") || tokens.isKeyword(word, "END") {
            controls.append(.commit)
        } else if tokens.isKeyword(word, "ROLLBACK") {
            controls.append(.rollback)
            addRollbackTarget(&tokens)
        } else if tokens.isKeyword(word, "SAVEPOINT") {
            if let name = name(&tokens) { controls.append(.savepoint(name)) }
        } else if tokens.isKeyword(word, "RELEASE") {
            addRelease(&tokens)
        } else {
            trigger.begin(with: word, &tokens)
        }
    }

    private func name(_ tokens: inout SQLTokenizer) -> String? {
        switch tokens.next() {
        case .word(let range), .quoted(let range): tokens.lowercased(range)
        default: nil
        }
    }

    private mutating func addPragma(_ tokens: inout SQLTokenizer) {
        guard var pragma = name(&tokens) else { return }
        var copy = tokens
        if copy.next() == .other(UInt8(ascii: ".")) {
            tokens = copy
            guard let second = name(&tokens) else { return }
            pragma = second
        }
        copy = tokens
        let next = copy.next()
        let hasArgument =
            next == .other(UInt8(ascii: "=")) || next == .other(UInt8(ascii: "("))
        if PragmaRules.isDisallowed(pragma, hasArgument: hasArgument) {
            hasDisallowedPragma = true
        }
    }

    /// ROLLBACK [TRANSACTION] TO [SAVEPOINT] name ends nothing.
    private mutating func addRollbackTarget(_ tokens: inout SQLTokenizer) {
        var copy = tokens
        guard case .word(var range)? = copy.next() else { return }
        if copy.isKeyword(range, "TRANSACTION") {
            guard case .word(let second)? = copy.next() else { return }
            range = second
        }
        guard copy.isKeyword(range, "TO") else { return }
        controls.removeLast()
        controls.append(.rollbackTo(""))
    }

    private mutating func addRelease(_ tokens: inout SQLTokenizer) {
        var copy = tokens
        if case .word(let range)? = copy.next(), copy.isKeyword(range, "SAVEPOINT") {
            tokens = copy
        }
        if let name = name(&tokens) { controls.append(.release(name)) }
    }
}

/// CREATE TRIGGER is the one statement with semicolons inside: it ends at `; END ;`, as in
/// sqlite3_complete().
struct TriggerRule {
    private var isTrigger = false

    /// A statement begins with this word.
    mutating func begin(with word: Range<Int>, _ tokens: inout SQLTokenizer) {
        if tokens.isKeyword(word, "CREATE") {
            sawCreate(&tokens)
        } else if tokens.isKeyword(word, "EXPLAIN") {
            sawExplain(&tokens)
        }
    }

    private mutating func sawCreate(_ tokens: inout SQLTokenizer) {
        var copy = tokens
        guard case .word(var range)? = copy.next() else { return }
        if copy.isKeyword(range, "TEMP") || copy.isKeyword(range, "TEMPORARY") {
            guard case .word(let second)? = copy.next() else { return }
            range = second
        }
        isTrigger = copy.isKeyword(range, "TRIGGER")
    }

    /// EXPLAIN [QUERY PLAN] CREATE TRIGGER has them too.
    private mutating func sawExplain(_ tokens: inout SQLTokenizer) {
        var copy = tokens
        while case .word(let range)? = copy.next() {
            if copy.isKeyword(range, "CREATE") { return sawCreate(&copy) }
            guard copy.isKeyword(range, "QUERY") || copy.isKeyword(range, "PLAN") else { return }
        }
    }

    /// Whether the semicolon just read ends the statement.
    func endsStatement(at tokens: inout SQLTokenizer) -> Bool {
        guard isTrigger else { return true }
        var copy = tokens
        guard case .word(let range)? = copy.next(), copy.isKeyword(range, "END") else {
            return false
        }
        guard let following = copy.next() else {
            tokens = copy
            return true
        }
        guard following == .semicolon else { return false }
        tokens = copy
        return true
    }
}

/// The savepoints of a transaction that a client opened by hand.
struct ExplicitTransaction: Equatable {
    enum ReleaseOutcome: Equatable {
        case unknownName
        case released
        /// The savepoint that opened the transaction: releasing it commits.
        case endsTransaction
    }

    /// The innermost last; names compare as in SQLite, without letter case where it is ASCII.
    private var savepoints: [ByteText]
    private let isOpenedBySavepoint: Bool

    /// SQLite looks at each open savepoint for each page that it changes.
    private static let most = 1000
    static let fullText = "too many savepoints in one another: at most \(most)"
    var isFull: Bool { savepoints.count >= Self.most }

    init(savepoint: String?) {
        savepoints = savepoint.map { [Self.key($0)] } ?? []
        isOpenedBySavepoint = savepoint != nil
    }

    private static func key(_ name: String) -> ByteText {
        ByteText(name.loweredASCII.utf8)
    }

    /// Nothing when it is full: the statement fails.
    mutating func push(_ name: String) {
        if !isFull { savepoints.append(Self.key(name)) }
    }

    mutating func release(_ name: String) -> ReleaseOutcome {
        let key = Self.key(name)
        guard let index = savepoints.lastIndex(of: key) else { return .unknownName }
        savepoints.removeSubrange(index...)
        return savepoints.isEmpty && isOpenedBySavepoint ? .endsTransaction : .released
    }

    mutating func rollBack(to name: String) -> Bool {
        let key = Self.key(name)
        guard let index = savepoints.lastIndex(of: key) else { return false }
        savepoints.removeSubrange((index + 1)...)
        return true
    }
}
