internal import SQLite

/// How many names of the schema SQLite has in one list. It keeps those of tables and views, of indexes, of triggers and of
/// what foreign keys refer to in 64 lists each, however many there are (`SQLITE_MALLOC_SOFT_LIMIT`), and goes through a list for
/// each name that it reads or looks for. A client finds any number of names for one list: 40,000 of them take half a minute
/// whenever a connection reads the schema, and ten times as many an hour.
struct SchemaNames {
    private static let lists = 64
    private static let parentKind = 3
    private static let kinds = 4
    /// With so many in each of them a schema has a quarter of a million tables.
    static let mostInList = 4096
    /// SQLite goes through all indexes of a table for each: 10,000 of them take a second.
    static let mostIndexes = 1000
    /// Names behind UPDATE OF, of all triggers of a table: SQLite goes through them for each column that an UPDATE sets.
    static let mostListed = 10_000

    private var counts = [Int](repeating: 0, count: SchemaNames.kinds * SchemaNames.lists)
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
        switch type {
        case "index":
            indexes[Self.key(owner), default: 0] += 1
            add(Self.key(name).bytes, kind: 1)
        case "trigger":
            triggers[Self.key(owner), default: 0] += 1
            add(Self.key(name).bytes, kind: 2)
        case "view":
            views.insert(Self.key(name))
            add(Self.key(name).bytes, kind: 0)
        default: add(Self.key(name).bytes, kind: 0)
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
            add(name.bytes, kind: Self.parentKind)
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
    private mutating func add(_ name: some Sequence<UInt8>, kind: Int) {
        var hash: UInt32 = 0
        for byte in name { hash = (hash &+ UInt32(byte)) &* 0x9E37_79B1 }
        let place = kind * Self.lists + Int(hash % UInt32(Self.lists))
        counts[place] += 1
        fullest = max(fullest, counts[place])
    }
}
