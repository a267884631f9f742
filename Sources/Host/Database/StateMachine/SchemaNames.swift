internal import CSQLite
internal import SQLite

/// How many names of the schema SQLite has in one list. It keeps those of tables and views, of indexes, of triggers and of
/// what foreign keys refer to in 64 lists each, however many there are (`SQLITE_MALLOC_SOFT_LIMIT`), and goes through a list for
/// each name that it reads or looks for. A client finds any number of names for one list: 40,000 of them take half a minute
/// whenever a connection reads the schema, and ten times as many an hour.
struct SchemaNames {
    private static let lists = 64
    /// With so many in each of them a schema has a quarter of a million tables.
    static let mostInList = 4096
    /// SQLite goes through all indexes of a table for each: 10,000 of them take a second.
    static let mostIndexes = 1000
    /// Names behind UPDATE OF, of all triggers of a table: SQLite goes through them for each column that an UPDATE sets.
    static let mostListed = 10_000

    /// Each has lists of its own. Parents are what foreign keys refer to.
    private enum Kind: Int, CaseIterable {
        case table, index, trigger, parent
    }

    private var counts = [Int](
        repeating: 0, count: Kind.allCases.count * SchemaNames.lists)
    private var parents: Set<ByteText> = []
    private var views: Set<ByteText> = []
    /// How many tables and views have, where they have some.
    private var indexes: [ByteText: Int] = [:]
    private var triggers: [ByteText: Int] = [:]
    private var listed: [ByteText: Int] = [:]
    /// Of the list that has most.
    private(set) var fullest = 0

    /// - Parameters:
    ///   - type: as the schema says it.
    ///   - owner: the table or view that the object belongs to.
    mutating func add(_ name: String, type: String?, owner: String) {
        let key = Self.key(name)
        switch type {
        case "index":
            indexes[Self.key(owner), default: 0] += 1
            add(key, .index)
        case "trigger":
            triggers[Self.key(owner), default: 0] += 1
            add(key, .trigger)
        case "view":
            views.insert(key)
            add(key, .table)
        default: add(key, .table)
        }
    }

    private static func key(_ name: String) -> ByteText { ByteText(name.loweredASCII.utf8) }

    /// What a trigger has behind UPDATE OF.
    mutating func addListed(of sql: UnsafeRawBufferPointer, owner: String) {
        let count = Self.listed(in: sql)
        if count > 1 { listed[Self.key(owner), default: 0] += count }
    }

    /// Names behind UPDATE OF in a CREATE TRIGGER, or more; one at least.
    static func listed(in sql: UnsafeRawBufferPointer) -> Int {
        var tokens = SQLTokenizer(sql)
        var count = 1
        var isList = false
        while let token = tokens.next() {
            switch token {
            case .word(let range):
                if tokens.isKeyword(range, "OF") { isList = true }
                if tokens.isKeyword(range, "ON") { return count }
            case .other(UInt8(ascii: ",")): if isList { count += 1 }
            case .semicolon, .quoted, .other: break
            }
        }
        return count
    }

    func listedCount(of table: String) -> Int { listed[Self.key(table)] ?? 0 }

    func indexCount(of table: String) -> Int { indexes[Self.key(table)] ?? 0 }

    /// None where it is a table.
    func triggerCount(ofView name: String) -> Int {
        let key = Self.key(name)
        return views.contains(key) ? triggers[key] ?? 0 : 0
    }

    /// What the foreign keys of a table refer to, each name once.
    mutating func addParents(of sql: UnsafeRawBufferPointer) {
        var tokens = SQLTokenizer(sql)
        while let token = tokens.next() {
            guard case .word(let range) = token, tokens.isKeyword(range, "REFERENCES"),
                let name = Self.name(&tokens, in: sql), parents.insert(name).inserted
            else { continue }
            add(name, .parent)
        }
    }

    private static func name(_ tokens: inout SQLTokenizer, in sql: UnsafeRawBufferPointer)
        -> ByteText?
    {
        switch tokens.next() {
        case .word(let range): return ByteText(tokens.lowercased(range).utf8)
        case .quoted(let range):
            let bytes = SQLTokenizer.undoubled(sql[range], sql[range.lowerBound - 1])
            return ByteText(String(decoding: bytes, as: UTF8.self).loweredASCII.utf8)
        case .semicolon, .other, nil: return nil
        }
    }

    /// - Parameter name: in lower case.
    private mutating func add(_ name: ByteText, _ kind: Kind) {
        var hash: UInt32 = 0
        for byte in name.bytes { hash = (hash &+ UInt32(byte)) &* 0x9E37_79B1 }
        let place = kind.rawValue * Self.lists + Int(hash % UInt32(Self.lists))
        counts[place] += 1
        fullest = max(fullest, counts[place])
    }
}

extension WriteSession {
    /// Why a CREATE TRIGGER or CREATE INDEX is refused; nil for any other statement. By what is known of the schema: to look
    /// through all of it takes long where it is large.
    /// - Parameter sql: the statement begins at `offset` of it.
    func refusalOfOwner(_ statement: ScriptStatement, of sql: String, from offset: Int)
        -> SQLiteError?
    {
        let facts = statement.compiled.facts
        guard !statement.compiled.isReadOnly, (facts.indexOwner ?? facts.triggerOwner) != nil
        else { return nil }
        let names = guardian.storedLiterals.names
        if let table = facts.indexOwner, names.indexCount(of: table) >= guardian.mostIndexes {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message: "too many indexes: at most \(guardian.mostIndexes) on a table")
        }
        guard let owner = facts.triggerOwner else { return nil }
        let listed = statement.withText(of: sql, from: offset) { SchemaNames.listed(in: $0) }
        if listed > 1, names.listedCount(of: owner) + listed > guardian.mostListed {
            return SQLiteError(
                extendedCode: SQLITE_ERROR,
                message:
                    "too many columns behind UPDATE OF: at most \(guardian.mostListed) in all triggers of a table"
            )
        }
        return ViewNames.refusal(ofTriggerOn: owner, in: names)
    }
}
