import JSON
import Raft

/// The bytes of the record `leader`.
extension LeaderEntry {
    /// As it stands in the registry: JSON that rqlite's nodes can read, too.
    package func encoded() -> [UInt8] {
        var members = [JSONValue.Member("id", .string(id.rawValue))]
        if let apiURL, !apiURL.isEmpty { members.append(.init("api_addr", .string(apiURL))) }
        members += [
            .init("addr", .string(address.rawValue)),
            .init("cluster", .string(cluster.description)),
            .init("state", .string(state.rawValue)),
            .init("nonce", .string(nonce.description)),
        ]
        if term > .zero { members.append(.init("term", .integer(term.rawValue))) }
        if !founders.isEmpty {
            members.append(.init("members", .array(founders.map(Self.value(of:)))))
        }
        var bytes: [UInt8] = []
        JSONValue.object(members).write(to: &bytes)
        return bytes
    }

    private static func value(of founder: Member) -> JSONValue {
        .object([
            .init("id", .string(founder.id.rawValue)),
            .init("incarnation", .string(founder.incarnation.description)),
            .init("addr", .string(founder.address.rawValue)),
        ])
    }

    /// - Parameter reader: of an object that has `cluster` or `state`.
    fileprivate init(from reader: RecordReader) throws(RecordError) {
        let text = try reader.text("state", limit: RegistryLimits.address)
        guard let state = State(rawValue: text) else {
            throw reader.wrong("state", "is neither forming nor formed")
        }
        self.init(
            id: try reader.nodeID("id"),
            apiURL: try reader.optionalText("api_addr", limit: RegistryLimits.url),
            address: try reader.address("addr"),
            cluster: ClusterID(try reader.randomID("cluster")), state: state,
            nonce: try reader.randomID("nonce"), term: Term(try reader.count("term")),
            founders: try Self.founders(from: reader.list("members"), reader))
    }

    private static func founders(
        from readers: [RecordReader], _ record: RecordReader
    ) throws(RecordError) -> [Member] {
        var founders: [Member] = []
        for reader in readers {
            founders.append(
                Member(
                    id: try reader.nodeID("id"),
                    incarnation: Incarnation(try reader.randomID("incarnation")),
                    address: try reader.address("addr"), suffrage: .voter))
        }
        founders.sort { $0.id < $1.id }
        for (one, next) in zip(founders, founders.dropFirst()) where one.id == next.id {
            throw record.wrong("members", "names a node twice")
        }
        return founders
    }
}

extension LeaderContent {
    /// Never fails: what can't be read is an entry of another kind.
    package init(parsing bytes: [UInt8]) {
        do throws(RecordError) {
            let reader = try RecordReader(bytes)
            if reader.has("cluster") || reader.has("state") {
                self = .entry(try LeaderEntry(from: reader))
            } else {
                self = .foreign(
                    id: try reader.optionalText("id", limit: RegistryLimits.nodeID) ?? "",
                    apiURL: try reader.optionalText("api_addr", limit: RegistryLimits.url) ?? "",
                    address: try reader.text("addr", limit: RegistryLimits.address))
            }
        } catch {
            self = .unreadable(error.description)
        }
    }
}
