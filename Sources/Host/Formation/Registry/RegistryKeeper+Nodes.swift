import Cluster
import Raft

/// The records of nodes: the own one, kept true, and those of others.
extension RegistryKeeper {
    /// After so many refusals in a row, each with a look at the record `leader` that was permitted,
    /// records of nodes are off.
    private static var refusalLimit: Int { 3 }
    /// When they are off, it is tried again after this.
    private static var refusedInterval: Duration { .seconds(300) }
    /// Clusters beside the own one that are told apart in alarms.
    private static var otherClusters: Int { 4 }

    private var ownName: String? { RecordName.node(record.identity.id) }

    mutating func lookAtOwn() {
        guard let ownName else {
            turnOff("the node's ID is too long for the name of a record")
            return
        }
        ask(.read(ownName), .lookAtOwn)
    }

    mutating func sawOwn(_ answer: RegistryAnswer) {
        guard case .record(let found) = answer, let ownName else { return refusedOwn(answer) }
        permitted()
        let wanted = record.encoded()
        guard found?.value != wanted else {
            hasOwn = true
            isOwnWritten = true
            copies = 0
            setAlarms(about: .ownID, [])
            return ownDue = now + jitter.pause(9_000, 10_000)
        }
        if hasOwn, let found, let other = try? NodeRecord(parsing: found.value) {
            noticeNamesake(other)
        }
        ask(.write(ownName, value: wanted, expected: found?.revision), .writeOwn)
    }

    /// Who wrote over the own record: another node, or a copy of this one's data directory, elsewhere. Once that may be
    /// what this node wrote itself before it moved, and what came late.
    private mutating func noticeNamesake(_ other: NodeRecord) {
        if other.identity.incarnation == record.identity.incarnation {
            guard other.address != record.address, isOwnWritten else { return }
            isOwnWritten = false
            copies += 1
            guard copies > 1 else { return }
        }
        setAlarms(about: .ownID, [.nodeIDTaken(record.identity.id, other: other.address)])
    }

    mutating func wroteOwn(_ answer: RegistryAnswer) {
        switch answer {
        case .written:
            permitted()
            hasOwn = true
            isOwnWritten = true
            ownDue = now + jitter.pause(9_000, 10_000)
        case .conflict: ownDue = now + jitter.pause(20, 200)
        default: refusedOwn(answer)
        }
    }

    // MARK: Others

    mutating func sawNodes(_ answer: RegistryAnswer) {
        guard case .records(let stored) = answer else { return refusedList(answer) }
        let isLost: Bool
        switch standing {
        case .fresh, .excluded, .member(isLost: false): return listDue = nil
        case .member(isLost: true), .founder: isLost = true
        case .leader: isLost = false
        }
        listDue = now + (isLost ? jitter.pause(1_500, 2_500) : jitter.pause(9_000, 10_000))
        let others = NodeRecord.all(in: stored).filter {
            $0.identity.id != record.identity.id
        }
        if isLost {
            listed = others.filter { $0.cluster == record.cluster }.map(\.address)
            tellCandidates()
            if listed.isEmpty, !keepsLeader { leaderDue = now }
        }
        guard keepsLeader else { return }
        noticeOthers(others)
        if case .leader = standing, let cluster = record.cluster,
            members.contains(record.identity.id)
        {
            stale.saw(stored, of: cluster, members: members, now)
        }
    }

    mutating func tellCandidates() {
        let places = [leaderPlace].compactMap(\.self).filter { !listed.contains($0) }
        let found = listed + places
        guard found != candidates else { return }
        candidates = found
        emit(.candidates(found))
    }

    mutating func erased(_ name: String, _ answer: RegistryAnswer) {
        // Else it was written since, or nobody knows: the next list tells.
        if case .erased = answer { emit(.erased(name)) }
    }

    private mutating func noticeOthers(_ others: [NodeRecord]) {
        guard let own = record.cluster, ownsEntry else { return }
        var clusters: [ClusterID] = []
        for case let cluster? in others.map(\.cluster)
        where cluster != own && !clusters.contains(cluster) {
            clusters.append(cluster)
        }
        setAlarms(
            about: .otherNodes,
            clusters.sorted().prefix(Self.otherClusters).map {
                .otherClusterPresent(other: $0, own: own)
            })
    }

    // MARK: Refusals

    private mutating func permitted() {
        refusals = 0
        recordsRefusal = nil
    }

    private mutating func refusedOwn(_ answer: RegistryAnswer) {
        guard let text = refusal(answer) else { return ownDue = now }
        ownDue = now + jitter.pause(500, 1_000)
        refused(text)
    }

    private mutating func refusedList(_ answer: RegistryAnswer) {
        guard refusal(answer) != nil else { return listDue = now }
        guard standing == .member(isLost: true) else {
            // The own record tells whether they are off.
            return listDue = now + jitter.pause(5_000, 10_000)
        }
        listDue = now + jitter.pause(1_500, 2_500)
        listed = []
        leaderDue = now
    }

    private func refusal(_ answer: RegistryAnswer) -> String? {
        guard case .failed(let failure) = answer, failure.kind == .forbidden else { return nil }
        return failure.description
    }

    private mutating func refused(_ text: String) {
        guard recordsRefusal == nil else { return ownDue = now + Self.refusedInterval }
        refusals += 1
        refusalText = text
        // Is it the records of nodes, or everything?
        if !keepsLeader { leaderDue = now }
    }

    /// The record `leader` could be read.
    mutating func judgeRefusals() {
        if refusals >= Self.refusalLimit, recordsRefusal == nil { turnOff(refusalText) }
    }

    private mutating func turnOff(_ reason: String) {
        ownDue = now + Self.refusedInterval
        guard recordsRefusal == nil else { return }
        recordsRefusal = reason
        emit(.nodeRecordsOff(reason))
    }
}
