import Raft
import Registry
import Time

/// The two machines of the registry modes with what their shell must remember: which writes to the
/// own disk are on their way, and what the registry held when it was last seen.
struct RegistryDriver {
    var keeper: RegistryKeeper
    /// Nil once the node has a cluster.
    @Aside var formation: RegistryFormation?
    /// As it was last handed to the disk.
    var state: RegistryState
    var watch = RegistryWatch()
    /// Why there are no records of nodes, if the registry permits none.
    var nodeRecordsOff: String?
    private var entry = RegistryStatus.Sighting.unknown
    private var ownRecord = RegistryStatus.Sighting.unknown
    private let start: MonotonicTime
    /// When the formation began: long after the driver, on a node that left its cluster.
    private var formationStart: MonotonicTime

    init(_ keeper: RegistryKeeper, state: RegistryState, now: MonotonicTime) {
        self.keeper = keeper
        self.state = state
        start = now
        formationStart = now
    }

    /// The node has no cluster, and has all its time to come to one.
    mutating func begin(_ formation: RegistryFormation, now: MonotonicTime) {
        self.formation = formation
        formationStart = now
    }

    /// Takes an input, at this time.
    mutating func step(_ now: MonotonicTime, _ input: (inout RegistryDriver) -> Void) {
        tick(now)
        input(&self)
    }

    private mutating func tick(_ now: MonotonicTime) {
        keeper.tick(now - start)
        let time = now - formationStart
        formation?.tick(time)
    }

    /// Notes what the answer shows and hands it to the machine that asked.
    mutating func answered(
        _ request: RegistryRequest, _ id: RegistryRequestID, _ reply: RegistryReply
    ) {
        note(request, reply)
        switch id.owner {
        case .keeper: keeper.answered(reply.answer, to: id)
        case .formation: formation?.answered(reply.answer, to: id)
        }
    }

    /// The record `leader` may have changed.
    mutating func changed() {
        keeper.registryChanged()
        formation?.registryChanged()
    }

    private mutating func note(_ request: RegistryRequest, _ reply: RegistryReply) {
        switch (request, reply.answer) {
        case (.read(let name), .record(let record)):
            if name == RecordName.leader { watch.seen(token: reply.token) }
            note(record.map { .found($0) } ?? .absent, of: name)
        case (.write(let name, let value, _), .written(let revision)):
            note(.found(StoredRecord(name: name, value: value, revision: revision)), of: name)
        case (.list(let prefix), .records(let records)):
            guard let own = ownName, own.hasPrefix(prefix) else { return }
            note(records.first { $0.name == own }.map { .found($0) } ?? .absent, of: own)
        default: return
        }
    }

    private mutating func note(_ sighting: RegistryStatus.Sighting, of name: String) {
        if name == RecordName.leader {
            entry = sighting
        } else if name == ownName {
            ownRecord = sighting
        }
    }

    private var ownName: String? { RecordName.node(keeper.record.identity.id) }

    /// The cluster that the record `leader` named when it was last read or written; nil: none, or not known.
    var namedCluster: ClusterID? { leaderEntry?.cluster }

    /// It told that the cluster has had a leader.
    func hasHadLeader(_ cluster: ClusterID) -> Bool {
        leaderEntry.map { $0.cluster == cluster && $0.term > .zero } ?? false
    }

    private var leaderEntry: LeaderEntry? {
        guard case .found(let record) = entry,
            case .entry(let content) = LeaderContent(parsing: record.value)
        else { return nil }
        return content
    }

    /// What a node without a cluster waits for.
    var waitingFor: String? { formation?.waitingFor }

    var status: RegistryStatus {
        RegistryStatus(
            waitingFor: waitingFor, entry: entry, ownRecord: ownRecord,
            nodeRecordsOff: nodeRecordsOff, alarms: keeper.alarms, notShared: nil,
            failure: keeper.failure,
            isWatching: watch.isUnderWay)
    }
}
