import JSON

/// The body of a transaction: `[{"KV": {"Verb", "Key", "Value", "Flags", "Index"}}, …]`.
enum ConsulTransaction {
    /// Nil for what is none.
    static func operations(_ body: [UInt8]) -> [ConsulRecords.Operation]? {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: body)
        } catch {
            return nil
        }
        guard let list = document.array, !list.isEmpty else { return nil }
        let operations = list.compactMap { $0["KV"].flatMap(operation) }
        return operations.count == list.count ? operations : nil
    }

    private static func operation(_ document: JSONValue) -> ConsulRecords.Operation? {
        guard let verb = document["Verb"]?.string, let key = document["Key"]?.string,
            !key.isEmpty, let value = Base64Text.decode(document["Value"]?.string ?? "")
        else { return nil }
        let index = number(document["Index"])
        let flags = number(document["Flags"])
        switch verb {
        case "set": return .set(key, value, flags: flags, index: nil)
        case "cas": return .set(key, value, flags: flags, index: index)
        case "get": return .get(key)
        case "get-tree": return .tree(key)
        case "check-index": return .checkIndex(key, index)
        case "check-not-exists": return .checkAbsence(key)
        case "delete": return .delete(key, index: nil)
        case "delete-cas": return .delete(key, index: index)
        case "delete-tree": return .deleteTree(key)
        default: return nil
        }
    }

    private static func number(_ value: JSONValue?) -> UInt64 {
        guard case .number(let text) = value else { return 0 }
        return UInt64(text) ?? 0
    }
}
