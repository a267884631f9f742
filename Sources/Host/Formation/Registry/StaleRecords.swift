import Raft

/// The records of nodes that a leader erases, since nobody else will: what stands in a registry for
/// ever makes every look longer, until more records are there than fit an answer.
///
/// - A record of the own cluster whose node is no member: it was removed, reaped, or left. The leader
///   knows every member, for whoever is admitted is in its log before it hears of it. So the record
///   need only be seen twice, in lists some seconds apart.
/// - A record of a node without a cluster that has stood unchanged for `patience`: a node that lives
///   joins, or at least puts its record back, so erasing one too many does no harm.
///
/// Records of other clusters are the operator's (`RegistryAlarm.otherClusterPresent`), and what can't
/// be read may be a newer version's.
struct StaleRecords: Sendable {
    /// A record of a node without a cluster must have stood for so long.
    static let patience = Duration.seconds(600)

    private struct Sighting {
        var revision: Revision
        var since: Duration
    }

    /// By name; never iterated.
    private var seen: [String: Sighting] = [:]
    private var due: [StoredRecord] = []

    var isEmpty: Bool { due.isEmpty }

    /// The next to be erased; it is handed out once per list.
    mutating func next() -> StoredRecord? { due.popLast() }

    /// A list of the registry's records, as the leader of the cluster sees it.
    mutating func saw(
        _ stored: [StoredRecord], of cluster: ClusterID, members: [NodeID], _ now: Duration
    ) {
        let members = Set(members)
        var present: [String: Sighting] = [:]
        due = []
        for item in stored.prefix(RegistryLimits.records) {
            guard let record = try? NodeRecord(parsing: item.value),
                RecordName.node(record.identity.id) == item.name,
                record.cluster == nil || record.cluster == cluster,
                !members.contains(record.identity.id)
            else { continue }
            var sighting = Sighting(revision: item.revision, since: now)
            if let old = seen[item.name], old.revision == item.revision {
                sighting = old
                let isOld = record.cluster != nil || old.since + Self.patience <= now
                if isOld, old.since < now { due.append(item) }
            }
            present[item.name] = sighting
        }
        seen = present
    }
}
