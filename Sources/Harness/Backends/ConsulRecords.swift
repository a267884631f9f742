/// What a fake Consul keeps: entries, and the one index of all changes. A value, so that a transaction
/// that fails half-way is undone by forgetting its copy.
struct ConsulRecords: Sendable {
    struct Entry: Equatable, Sendable {
        var key: String
        var value: [UInt8]
        var flags: UInt64
        var createIndex: UInt64
        var modifyIndex: UInt64
    }

    enum Operation: Sendable {
        case get(String)
        case tree(String)
        case checkIndex(String, UInt64)
        case checkAbsence(String)
        /// - Parameter index: nil writes whatever there is; 0 only if there is nothing.
        case set(String, [UInt8], flags: UInt64, index: UInt64?)
        /// - Parameter index: nil deletes whatever there is.
        case delete(String, index: UInt64?)
        case deleteTree(String)

        var isChange: Bool {
            switch self {
            case .set, .delete, .deleteTree: true
            case .get, .tree, .checkIndex, .checkAbsence: false
            }
        }
    }

    /// Why one operation, and so the whole transaction, does not happen.
    struct Refusal: Error {
        let position: Int
        let why: String
    }

    private(set) var entries: [String: Entry] = [:]
    /// Of the last change.
    private(set) var index: UInt64 = 1
    /// Of the last deletion below a prefix, for lists that lost an entry.
    private var deletions: [String: UInt64] = [:]

    func list(_ prefix: String) -> [Entry] {
        entries.values.filter { $0.key.utf8.starts(with: prefix.utf8) }.sorted { $0.key < $1.key }
    }

    /// What `X-Consul-Index` says to a read of one key: of an entry its own index.
    func index(of key: String) -> UInt64 { entries[key]?.modifyIndex ?? index }

    /// And to a list.
    func index(below prefix: String) -> UInt64 {
        let gone = deletions.filter { $0.key.utf8.starts(with: prefix.utf8) }.values
        return (list(prefix).map(\.modifyIndex) + gone).max() ?? index
    }

    /// Does all, or nothing. Returns what the operations saw or made, and whether a value belongs to
    /// the answer.
    mutating func run(
        _ operations: [Operation]
    ) throws(Refusal) -> [(entry: Entry, showsValue: Bool)] {
        var copy = self
        // The command takes its place in Consul's log whatever comes of it.
        if operations.contains(where: \.isChange) {
            copy.index += 1
            index = copy.index
        }
        var results: [(entry: Entry, showsValue: Bool)] = []
        for (position, operation) in operations.enumerated() {
            guard let found = copy.run(operation) else {
                throw Refusal(position: position, why: "the condition does not hold")
            }
            let showsValue = !operation.isChange
            results += found.map { ($0, showsValue) }
        }
        self = copy
        return results
    }

    mutating func wipe() { self = ConsulRecords() }

    /// Nil for a condition that does not hold.
    private mutating func run(_ operation: Operation) -> [Entry]? {
        switch operation {
        case .get(let key): return entries[key].map { [$0] }
        case .tree(let prefix): return list(prefix)
        case .checkIndex(let key, let index): return entries[key]?.modifyIndex == index ? [] : nil
        case .checkAbsence(let key): return entries[key] == nil ? [] : nil
        case .set(let key, let value, let flags, let expected):
            let old = entries[key]
            if let expected, expected != old?.modifyIndex ?? 0 { return nil }
            guard old != nil || entries.count < BackendLimits.records else { return nil }
            // A write that changes nothing keeps its index.
            if let old, old.value == value, old.flags == flags { return [old] }
            let entry = Entry(
                key: key, value: value, flags: flags, createIndex: old?.createIndex ?? index,
                modifyIndex: index)
            entries[key] = entry
            return [entry]
        case .delete(let key, let expected):
            // What is gone already counts as deleted.
            guard let old = entries[key] else { return [] }
            if let expected, expected != old.modifyIndex { return nil }
            remove(key)
            return []
        case .deleteTree(let prefix):
            for entry in list(prefix) { remove(entry.key) }
            return []
        }
    }

    private mutating func remove(_ key: String) {
        entries[key] = nil
        deletions[key] = index
    }
}
