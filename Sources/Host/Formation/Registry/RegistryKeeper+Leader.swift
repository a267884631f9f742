import Cluster
import Raft

/// The record `leader`, kept by whoever leads.
extension RegistryKeeper {
    /// An entry of a later term that stands there for so long, while this node goes on leading, is
    /// no other leader's: a deposed one has heard of its successor long before.
    private static var laterTermPatience: Duration { .seconds(10) }

    /// From following a leader to the first look for its entry, between two looks, and between those
    /// that find none, of which so many in a row are an alarm.
    static var firstFollow: Duration { .seconds(10) }
    private static var followInterval: Duration { .seconds(60) }
    private static var doubtInterval: Duration { .seconds(3) }
    private static var neededAbsences: Int { 4 }

    private var isFollowing: Bool { standing == .member(isLost: false) }

    /// Between the beginnings of two looks: with the answer's time and the write's, less passes from
    /// a loss to the entry that replaces it than a claim has to stand.
    private mutating func lookAgain() {
        leaderDue = max(now, lastLeaderLook + jitter.pause(200, 250))
    }

    mutating func lookAtLeader() {
        lastLeaderLook = now
        ask(.read(RecordName.leader), .lookAtLeader)
    }

    mutating func sawLeader(_ answer: RegistryAnswer) {
        guard case .record(let record) = answer else {
            if case .failed(let failure) = answer, failure.kind == .forbidden { refusals = 0 }
            if !keepsLeader { leaderDue = isFollowing ? now + Self.followInterval : nil }
            return
        }
        // Also asked to find out whether it is only the records of nodes that are refused.
        judgeRefusals()
        guard keepsLeader, let cluster = self.record.cluster else { return follow(record) }
        lookAgain()
        ownsEntry = false
        meetOther(record, than: cluster)
        guard let record else {
            setAlarms(about: .leaderEntry, [])
            return write(at: nil)
        }
        switch LeaderContent(parsing: record.value) {
        case .entry(let entry) where entry.state == .forming:
            setAlarms(about: .leaderEntry, [])
            write(at: record.revision)
        case .entry(let entry) where entry.cluster == cluster:
            setAlarms(about: .leaderEntry, [])
            ownsEntry = true
            if !entry.founders.isEmpty { founders = entry.founders }
            correct(entry, at: record.revision)
        case .entry(let entry):
            // That it is another's is all there is to say; its nodes' records go with it.
            setAlarms(about: .otherNodes, [])
            setAlarms(
                about: .leaderEntry,
                [
                    .otherClusterLeads(
                        entry: entry.cluster, own: cluster, revision: record.revision)
                ])
        case .foreign(_, _, let address):
            setAlarms(
                about: .leaderEntry,
                [.foreignEntry(address: address, own: cluster, revision: record.revision)])
        case .unreadable(let reason):
            setAlarms(
                about: .leaderEntry,
                [.unreadableEntry(reason: reason, own: cluster, revision: record.revision)])
        }
    }

    /// What a node that follows a leader sees: somebody's entry, if all use one registry.
    private mutating func follow(_ record: StoredRecord?) {
        guard isFollowing, let cluster = self.record.cluster else {
            if standing == .member(isLost: true) { locate(record) }
            return leaderDue = nil
        }
        absences = record == nil ? absences + 1 : 0
        let isUnseen = absences >= Self.neededAbsences
        setAlarms(about: .leaderEntry, isUnseen ? [.leaderUnseen(own: cluster)] : [])
        let isDoubtful = absences > 0 && !isUnseen
        leaderDue = now + (isDoubtful ? Self.doubtInterval : Self.followInterval)
    }

    /// Where a member that lost contact may find the leader of its cluster.
    private mutating func locate(_ record: StoredRecord?) {
        leaderPlace = nil
        if let record, case .entry(let entry) = LeaderContent(parsing: record.value),
            entry.cluster == self.record.cluster, entry.id != self.record.identity.id,
            entry.address.isWellFormed
        {
            leaderPlace = entry.address
        }
        tellCandidates()
    }

    /// A founder whose cluster never had a leader meets one that works where the entry says that its leader is, and may
    /// leave its own for it: nobody of it need be where the founders were (decision 204).
    private mutating func meetOther(_ record: StoredRecord?, than cluster: ClusterID) {
        guard case .founder = standing else { return }
        var place: PeerAddress?
        if let record, case .entry(let entry) = LeaderContent(parsing: record.value),
            entry.state == .formed, entry.cluster != cluster, entry.address != self.record.address
        {
            place = entry.address
        }
        guard place != leaderPlace else { return }
        leaderPlace = place
        tellCandidates()
    }

    /// An entry of the own cluster: is it what this node would write?
    private mutating func correct(_ entry: LeaderEntry, at revision: Revision) {
        guard case .leader(let term) = standing else { return }
        if entry.term > term {
            if later?.revision != revision { later = (revision, now) }
            guard let later, later.since + Self.laterTermPatience <= now else { return }
        }
        later = nil
        guard let wanted = wantedEntry else { return }
        if entry.says(the: wanted) {
            conflicts = 0
            if entry.nonce == nonce { publish(entry, at: revision) }
        } else {
            write(at: revision)
        }
    }

    private var wantedEntry: LeaderEntry? {
        guard let cluster = record.cluster else { return nil }
        var entry = LeaderEntry(
            id: record.identity.id, apiURL: record.apiURL, address: record.address,
            cluster: cluster, state: .formed, nonce: nonce, term: .zero, founders: founders)
        switch standing {
        case .leader(let term): entry.term = term
        case .founder(let value): entry.founders = value.members
        case .fresh, .excluded, .member: return nil
        }
        if entry.encoded().count > RegistryLimits.value { entry.founders = [] }
        return entry
    }

    private mutating func write(at revision: Revision?) {
        guard let entry = wantedEntry else { return }
        ask(
            .write(RecordName.leader, value: entry.encoded(), expected: revision),
            .writeLeader(entry))
    }

    mutating func wroteLeader(_ entry: LeaderEntry, _ answer: RegistryAnswer) {
        guard keepsLeader else { return }
        switch answer {
        case .written(let revision):
            conflicts = 0
            // It may have begun to lead again meanwhile.
            let isRight = wantedEntry.map { entry.says(the: $0) } ?? false
            if isRight { publish(entry, at: revision) }
            if isRight { lookAgain() } else { leaderDue = now }
        case .conflict:
            conflicts += 1
            leaderDue = now + (conflicts == 1 ? .zero : jitter.pause(20, 100))
        default: leaderDue = now
        }
    }

    /// The entry stands there by this node's write.
    private mutating func publish(_ entry: LeaderEntry, at revision: Revision) {
        guard publishedAt != revision else { return }
        emit(publishedAt == nil ? .published(entry) : .restored(entry))
        publishedAt = revision
    }

    // MARK: Alarms

    enum AlarmSubject {
        case leaderEntry
        case otherNodes
        case ownID
    }

    mutating func setAlarms(about subject: AlarmSubject, _ present: [RegistryAlarm]) {
        let old = alarms.filter { $0.subject == subject }
        guard old != present else { return }
        alarms.removeAll { $0.subject == subject }
        alarms += present
        for alarm in old where !present.contains(where: { $0.isSameMatter(as: alarm) }) {
            emit(.resolved(alarm))
        }
        for alarm in present where !old.contains(where: { $0.isSameMatter(as: alarm) }) {
            emit(.raised(alarm))
        }
    }
}

extension LeaderEntry {
    /// The same but for who wrote it when, and for the founders.
    fileprivate func says(the other: LeaderEntry) -> Bool {
        id == other.id && apiURL == other.apiURL && address == other.address
            && cluster == other.cluster && state == other.state && term == other.term
    }
}

extension RegistryAlarm {
    fileprivate var subject: RegistryKeeper.AlarmSubject {
        switch self {
        case .otherClusterLeads, .foreignEntry, .unreadableEntry, .leaderUnseen: .leaderEntry
        case .otherClusterPresent: .otherNodes
        case .nodeIDTaken: .ownID
        }
    }

    /// Whether nothing but the record's revision has changed.
    fileprivate func isSameMatter(as other: RegistryAlarm) -> Bool {
        switch (self, other) {
        case (.otherClusterLeads(let a, _, _), .otherClusterLeads(let b, _, _)): a == b
        case (.foreignEntry(let a, _, _), .foreignEntry(let b, _, _)): a == b
        case (.unreadableEntry, .unreadableEntry): true
        default: self == other
        }
    }
}
