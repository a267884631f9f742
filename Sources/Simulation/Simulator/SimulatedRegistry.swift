import NodeLogic
import Registry

/// A store that compares and sets, as plugins offer it. No two states of a record ever have the same
/// revision.
struct SimulatedRegistry {
    private var records: [StoredRecord] = []
    private var lastRevision = 0
    /// Of a thousand requests so many fail, with or without effect.
    var failureRate = 0
    /// Answers nobody.
    var isDown = false

    mutating func perform(_ request: RegistryRequest) -> RegistryReply {
        switch request {
        case .read(let name):
            let record = records.first { $0.name == name }
            return RegistryReply(.record(record), token: token)
        case .list(let prefix):
            return RegistryReply(.records(records.filter { $0.name.hasPrefix(prefix) }))
        case .erase(let name, let expected):
            let revision = records.first { $0.name == name }?.revision
            guard revision == nil || revision == expected else { return RegistryReply(.conflict) }
            records.removeAll { $0.name == name }
            return RegistryReply(.erased)
        case .write(let name, let value, let expected):
            guard records.first(where: { $0.name == name })?.revision == expected else {
                return RegistryReply(.conflict)
            }
            return RegistryReply(.written(put(name, value)))
        }
    }

    /// Names the state of the record that is watched.
    var token: [UInt8] {
        records.first { $0.name == RecordName.leader }?.revision.bytes ?? Array("none".utf8)
    }

    /// `rqlited disco clear`: names no cluster any more.
    mutating func clear() { records.removeAll { $0.name == RecordName.leader } }

    private mutating func put(_ name: String, _ value: [UInt8]) -> Revision {
        lastRevision += 1
        let record = StoredRecord(
            name: name, value: value, revision: Revision(Array("\(lastRevision)".utf8)))
        records.removeAll { $0.name == name }
        records.append(record)
        records.sort { $0.name < $1.name }
        return record.revision
    }
}
