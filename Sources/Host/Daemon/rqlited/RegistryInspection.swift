import Discovery
import JSON
import Raft
import Registry
import Settings

/// What `rqlited disco show` and `clear` do with a registry. They read before they remove, and remove
/// nothing that was written since: every removal names the revision that was read.
struct RegistryInspection {
    private let instance: PluginInstance
    private let key: String
    private let timeout: Duration

    init(_ instance: PluginInstance, key: String, timeout: Duration) {
        self.instance = instance
        self.key = key
        self.timeout = timeout
    }

    func look() throws -> Records {
        Records(mode: instance.mode.name, key: key, leader: try leader(), nodes: try nodes())
    }

    func clear(_ clearing: DiscoveryCommand.Clearing) throws -> Cleared {
        var cleared = Cleared()
        switch clearing {
        case .entry(let text):
            guard let expected = Revision(text) else {
                throw DiscoveryVerbs.Failure(
                    "-expect \(text) is no revision: take it from `rqlited disco show`")
            }
            guard let entry = try leader() else {
                throw DiscoveryVerbs.Failure("\(key)/leader does not exist: nothing is removed")
            }
            let found = Revision(entry.revision)
            guard found == expected else {
                throw DiscoveryVerbs.Failure(
                    "\(key)/leader has revision \(found), not \(expected): it was written since "
                        + "you looked, so nothing is removed. Look again with `rqlited disco show`")
            }
            guard try erase(entry, &cleared) else {
                throw DiscoveryVerbs.Failure(
                    "\(key)/leader was written just now, so nothing is removed. Look again with "
                        + "`rqlited disco show`")
            }
            if case .entry(let content) = LeaderContent(parsing: entry.value) {
                try eraseNodes(of: content.cluster.description, &cleared)
            }
        case .nodes(let cluster): try eraseNodes(of: cluster.lowercased(), &cleared)
        }
        return cleared
    }

    private func eraseNodes(of cluster: String, _ cleared: inout Cleared) throws {
        for record in try nodes() {
            guard let content = try? NodeRecord(parsing: record.value),
                content.cluster?.description == cluster
            else { continue }
            _ = try erase(record, &cleared)
        }
    }

    /// False if the record is no longer the one that was read.
    private func erase(_ record: RegistryRecord, _ cleared: inout Cleared) throws -> Bool {
        let outcome: RegistryErasure
        do {
            outcome = try instance.answer { instance, answer in
                instance.erase(
                    record.name, expected: record.revision, timeout: timeout, completion: answer)
            }
        } catch {
            throw DiscoveryVerbs.Failure(
                "\(key)/\(record.name) may be removed or not: \(error). Look again with "
                    + "`rqlited disco show`")
        }
        switch outcome {
        case .erased: cleared.removed.append("\(key)/\(record.name)")
        case .absent, .conflict: cleared.kept.append("\(key)/\(record.name)")
        }
        return outcome == .erased
    }

    private func leader() throws -> RegistryRecord? {
        try instance.answer { instance, answer in
            instance.read(RecordName.leader, timeout: timeout, completion: answer)
        }.record
    }

    private func nodes() throws -> [RegistryRecord] {
        try instance.answer { instance, answer in
            instance.list(prefix: RecordName.nodes, timeout: timeout, completion: answer)
        }.sorted { $0.name < $1.name }
    }
}

extension RegistryInspection {
    struct Records {
        var mode: String
        var key: String
        var leader: RegistryRecord?
        var nodes: [RegistryRecord]
    }

    struct Cleared {
        var removed: [String] = []
        /// Written between reading and removing.
        var kept: [String] = []

        var text: [String] {
            removed.map { "removed \($0)" } + kept.map { "kept \($0): it was written just now" }
                + (removed.isEmpty && kept.isEmpty ? ["nothing to remove"] : [])
        }

        var document: JSONValue {
            .object([
                .init("removed", .array(removed.map { .string($0) })),
                .init("kept", .array(kept.map { .string($0) })),
            ])
        }
    }
}

extension RegistryInspection.Records {
    /// What a record says, if a node wrote it; else what it is instead.
    private enum Content {
        case ours(JSONValue)
        case other(String)
    }

    var text: [String] {
        var lines =
            leader.map { Self.lines("\(key)/\($0.name)", $0, Self.leaderContent($0.value)) }
            ?? ["\(key)/\(RecordName.leader)  does not exist"]
        for node in nodes {
            lines += Self.lines("\(key)/\(node.name)", node, Self.nodeContent(node.value))
        }
        return lines
    }

    var document: JSONValue {
        .object([
            .init("mode", .string(mode)), .init("key", .string(key)),
            .init(
                "leader",
                leader.map { Self.document($0, Self.leaderContent($0.value)) } ?? .null),
            .init(
                "nodes",
                .array(nodes.map { Self.document($0, Self.nodeContent($0.value)) })),
        ])
    }

    private static func lines(
        _ name: String, _ record: RegistryRecord, _ content: Content
    ) -> [String] {
        let head = "\(name)  revision \(Revision(record.revision))"
        switch content {
        case .other(let what): return ["\(head)  \(what)"]
        case .ours(let value): return [head, "    \(value.text())"]
        }
    }

    private static func document(_ record: RegistryRecord, _ content: Content) -> JSONValue {
        let (name, value): (String, JSONValue) =
            switch content {
            case .ours(let value): ("value", value)
            case .other(let what): ("problem", .string(what))
            }
        return .object([
            .init("name", .string(record.name)),
            .init("revision", .string("\(Revision(record.revision))")), .init(name, value),
        ])
    }

    private static func leaderContent(_ value: [UInt8]) -> Content {
        switch LeaderContent(parsing: value) {
        case .entry: content(value)
        case .foreign(let id, let apiURL, let address):
            .other("written by rqlite: node \(id) at \(address), \(apiURL)")
        case .unreadable(let why): .other("unreadable, \(value.count) bytes: \(why)")
        }
    }

    private static func nodeContent(_ value: [UInt8]) -> Content {
        do throws(RecordError) {
            _ = try NodeRecord(parsing: value)
            return content(value)
        } catch {
            return .other("unreadable, \(value.count) bytes: \(error)")
        }
    }

    private static func content(_ value: [UInt8]) -> Content {
        do throws(JSONError) {
            return .ours(try JSONValue(parsing: value))
        } catch {
            return .other("unreadable: \(error)")
        }
    }
}
