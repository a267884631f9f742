/// The memberships that may still matter: the newest committed one and all after it, so that
/// discarding entries restores what held before them (thesis §4.1).
struct MembershipHistory: Sendable {
    struct Record: Equatable, Sendable {
        var index: LogIndex
        var membership: Membership
    }

    /// Ascending and never empty; none but the first is committed.
    private var records: [Record]

    init(restored: RestoredState) {
        var first = Record(index: restored.membershipIndex, membership: restored.membership)
        if restored.membershipIndex > restored.appliedIndex {
            first = Record(
                index: restored.appliedMembershipIndex, membership: restored.appliedMembership)
        }
        records = [first]
        for entry in restored.passed + restored.tail where entry.index > first.index {
            if case .membership(let membership) = entry.payload,
                entry.term.epoch == restored.hardState.term.epoch
            {
                records.append(Record(index: entry.index, membership: membership))
            }
        }
        if latest.index < restored.membershipIndex, Self.isByHand(restored) {
            records.append(
                Record(index: restored.membershipIndex, membership: restored.membership))
        }
        precondition(
            latest.index == restored.membershipIndex,
            "membership at \(restored.membershipIndex), but the log's last is at \(latest.index)")
        committed(through: restored.commitIndex)
    }

    /// A recovery by hand set the latest membership, and no entry: at its place stands one of an epoch before. The
    /// database holds more than that as a rule, but not one that took the place of a damaged one.
    private static func isByHand(_ restored: RestoredState) -> Bool {
        let run = restored.termRuns.last { $0.index <= restored.membershipIndex }
        return (run?.term ?? restored.base.term).epoch < restored.hardState.term.epoch
    }

    var latest: Record { records[records.count - 1] }
    /// The one before the latest, unless the latest is committed.
    var previous: Record? { records.count > 1 ? records[records.count - 2] : nil }

    mutating func append(_ membership: Membership, at index: LogIndex) {
        precondition(index > latest.index, "membership at \(index) after one at \(latest.index)")
        records.append(Record(index: index, membership: membership))
    }

    /// - Returns: whether another membership holds now.
    mutating func truncate(from index: LogIndex) -> Bool {
        guard latest.index >= index else { return false }
        records.removeAll { $0.index >= index }
        precondition(!records.isEmpty, "the committed membership would be discarded at \(index)")
        return true
    }

    mutating func committed(through index: LogIndex) {
        while records.count > 1 && records[1].index <= index { records.removeFirst() }
    }

    /// A snapshot through `mark` was installed; what the log holds after it stays.
    mutating func install(_ mark: SnapshotMark) {
        records.removeAll { $0.index <= mark.position.index }
        records.insert(Record(index: mark.membershipIndex, membership: mark.membership), at: 0)
    }
}
