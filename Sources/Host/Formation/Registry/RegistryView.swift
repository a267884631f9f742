import Raft

/// What a look at the registry has shown: the record `leader`, then the records of nodes.
struct RegistryView: Sendable {
    /// What stands in the record `leader`.
    enum Leader: Equatable, Sendable {
        case absent
        case present(LeaderContent, Revision)

        /// There is a cluster, and which.
        var isFormed: Bool {
            guard case .present(.entry(let entry), _) = self else { return false }
            return entry.state == .formed
        }
    }

    var leader: Leader
    /// Of nodes, sorted by ID; what can't be read is left out.
    var records: [NodeRecord]
    /// There are more than are looked at.
    var isCut = false
    /// When the look began, and when its last answer came.
    var startedAt: Duration
    var endedAt: Duration

    func shows(formed cluster: ClusterID) -> Bool {
        guard case .present(.entry(let entry), _) = leader else { return false }
        return entry.state == .formed && entry.cluster == cluster
    }

    /// Members of clusters, as far as their records say so.
    func members(besides own: NodeID) -> [NodeRecord] {
        records.filter { $0.cluster != nil && $0.identity.id != own }
    }
}

extension NodeRecord {
    /// The readable records among `stored`, sorted by ID. One that stands under another node's name
    /// is not believed.
    static func all(in stored: [StoredRecord]) -> [NodeRecord] {
        var records: [NodeRecord] = []
        for item in stored.prefix(RegistryLimits.records) {
            guard let record = try? NodeRecord(parsing: item.value),
                RecordName.node(record.identity.id) == item.name
            else { continue }
            records.append(record)
        }
        return records.sorted { $0.identity.id < $1.identity.id }
    }
}
