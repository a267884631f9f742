import JSON
import Raft

/// The bytes of a node's record.
extension NodeRecord {
    /// As it stands in the registry.
    package func encoded() -> [UInt8] {
        var members: [JSONValue.Member] = [
            .init("id", .string(identity.id.rawValue)),
            .init("incarnation", .string(identity.incarnation.description)),
        ]
        if let cluster { members.append(.init("cluster", .string(cluster.description))) }
        members.append(.init("addr", .string(address.rawValue)))
        if let apiURL, !apiURL.isEmpty { members.append(.init("api_addr", .string(apiURL))) }
        members.append(.init("suffrage", .string(suffrage.description)))
        if expect > 0 { members.append(.init("expect", .integer(expect))) }
        var bytes: [UInt8] = []
        JSONValue.object(members).write(to: &bytes)
        return bytes
    }

    /// Why nobody can read the record, made of what an operator gave a node; nil if it can be read.
    package var flaw: RecordError? {
        do throws(RecordError) {
            _ = try NodeRecord(parsing: encoded())
            return nil
        } catch {
            return error
        }
    }

    /// - Throws: `RecordError` for what no node wrote.
    package init(parsing bytes: [UInt8]) throws(RecordError) {
        let reader = try RecordReader(bytes)
        let suffrage: Suffrage
        switch try reader.text("suffrage", limit: RegistryLimits.address) {
        case Suffrage.voter.description: suffrage = .voter
        case Suffrage.nonvoter.description: suffrage = .nonvoter
        default: throw reader.wrong("suffrage", "is neither voter nor nonvoter")
        }
        self.init(
            identity: NodeIdentity(
                id: try reader.nodeID("id"),
                incarnation: Incarnation(try reader.randomID("incarnation"))),
            cluster: try reader.optionalRandomID("cluster").map { ClusterID($0) },
            address: try reader.address("addr"),
            apiURL: try reader.optionalText("api_addr", limit: RegistryLimits.url),
            suffrage: suffrage, expect: Int(clamping: try reader.count("expect")))
    }
}
