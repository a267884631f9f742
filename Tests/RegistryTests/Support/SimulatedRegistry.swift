import Registry

/// A store that compares and sets, as plugins offer it. No two states of a record ever have the same
/// revision, not even across a wipe.
struct SimulatedRegistry {
    private(set) var records: [StoredRecord] = []
    private var lastRevision = 0
    /// How often a record was written.
    private(set) var writes = 0

    subscript(name: String) -> StoredRecord? { records.first { $0.name == name } }

    /// - Parameter isBlind: write whatever stands there, as rqlite does.
    mutating func perform(_ request: RegistryRequest, isBlind: Bool = false) -> RegistryAnswer {
        switch request {
        case .read(let name): return .record(self[name])
        case .list(let prefix): return .records(records.filter { $0.name.hasPrefix(prefix) })
        case .erase(let name, let expected):
            let revision = self[name]?.revision
            guard revision == nil || revision == expected else { return .conflict }
            erase(name)
            return .erased
        case .write(let name, let value, let expected):
            guard isBlind || self[name]?.revision == expected else { return .conflict }
            return .written(put(name, value))
        }
    }

    @discardableResult
    mutating func put(_ name: String, _ value: [UInt8]) -> Revision {
        lastRevision += 1
        writes += 1
        let record = StoredRecord(
            name: name, value: value, revision: Revision(Array("\(lastRevision)".utf8)))
        records.removeAll { $0.name == name }
        records.append(record)
        records.sort { $0.name < $1.name }
        return record.revision
    }

    mutating func erase(_ name: String) { records.removeAll { $0.name == name } }

    mutating func wipe() { records = [] }
}

extension SimulatedRegistry {
    var leader: LeaderEntry? {
        guard let record = self[RecordName.leader],
            case .entry(let entry) = LeaderContent(parsing: record.value)
        else { return nil }
        return entry
    }

    /// The readable records of nodes.
    var nodes: [NodeRecord] {
        records.filter { $0.name.hasPrefix(RecordName.nodes) }
            .compactMap { try? NodeRecord(parsing: $0.value) }
    }
}
