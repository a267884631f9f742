import JSON
import PluginSupport

/// What `PUT /v1/txn` does in one step, or not at all; see developer.hashicorp.com/consul/api-docs/txn.
/// Unlike `PUT /v1/kv/KEY?cas=` it answers with the new ModifyIndex of what it wrote.
enum ConsulTransaction {
    /// Writes the key if its ModifyIndex is `index`, or if that is 0 and there is none.
    case write(key: String, index: UInt64, value: [UInt8])
    /// Removes the key if its ModifyIndex is `index`. Consul's `delete-cas` alone would be content with
    /// a key that is not there.
    case erase(key: String, index: UInt64)

    var key: String {
        switch self {
        case .write(let key, _, _), .erase(let key, _): key
        }
    }

    /// - Parameters: Enterprise's; empty for the default.
    func body(namespace: String, partition: String) -> [UInt8] {
        var operations: [[JSONValue.Member]]
        switch self {
        case .write(_, let index, let value):
            // Flags are the client's own. The index that is replaced makes every write differ from
            // the one before: of one that changes nothing Consul keeps the ModifyIndex, and this
            // write could not be told from the last.
            operations = [
                [
                    .init("Verb", "cas"), .init("Value", .string(Base64.encode(value))),
                    .init("Flags", .integer(index)), .init("Index", .integer(index)),
                ]
            ]
        case .erase(_, let index):
            operations = [
                [.init("Verb", "check-index"), .init("Index", .integer(index))],
                [.init("Verb", "delete-cas"), .init("Index", .integer(index))],
            ]
        }
        for position in operations.indices {
            operations[position].append(.init("Key", .string(key)))
            if !namespace.isEmpty {
                operations[position].append(.init("Namespace", .string(namespace)))
            }
            if !partition.isEmpty {
                operations[position].append(.init("Partition", .string(partition)))
            }
        }
        let list = JSONValue.array(operations.map { .object([.init("KV", .object($0))]) })
        return Array(list.text().utf8)
    }
}
