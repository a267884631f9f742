import Raft
import WriteAheadLog

/// What one node of an ensemble has on its disk: a log and a database that keep every promise at
/// once, for transcripts are about decisions.
struct EnsembleDisk {
    // The log.
    var hardState = HardState()
    var base = LogPosition.zero
    var entries: [Entry] = []
    var cluster: ClusterID?
    var bootstrap = Membership()
    var formation: [UInt8]?
    var registry: [UInt8]?
    // The database.
    var applied = LogPosition.zero
    var isEstablished = false
    var appliedMembership = Membership()
    var appliedMembershipIndex = LogIndex.zero
    var rows: [String: String] = [:]

    var lastIndex: LogIndex { entries.last?.index ?? base.index }

    mutating func write(_ new: [Entry]) {
        guard let first = new.first else { return }
        entries.removeAll { $0.index >= first.index }
        entries += new
    }

    mutating func record(_ record: MetadataRecord) {
        switch record {
        case .cluster(let id): cluster = id
        case .bootstrapMembership(let membership): bootstrap = membership
        case .formation(let bytes): formation = bytes
        case .registry(let bytes): registry = bytes
        case .identity, .generation, .abandoned, .recovered, .caughtUp: break
        }
    }

    mutating func compact(through index: LogIndex) -> LogPosition {
        if let entry = entries.first(where: { $0.index == index }) {
            base = entry.position
            entries.removeAll { $0.index <= index }
        }
        return base
    }

    /// What a start finds.
    var restored: RestoredState {
        var runs: [LogPosition] = []
        var membership = (index: appliedMembershipIndex, value: appliedMembership)
        if membership.value.members.isEmpty { membership.value = bootstrap }
        for entry in entries {
            if runs.last?.term != entry.term { runs.append(entry.position) }
            if case .membership(let value) = entry.payload { membership = (entry.index, value) }
        }
        return RestoredState(
            hardState: hardState, base: base, termRuns: runs, lastIndex: lastIndex,
            tail: entries.filter { $0.index > applied.index }, membership: membership.value,
            membershipIndex: membership.index,
            appliedMembership: appliedMembership.members.isEmpty ? bootstrap : appliedMembership,
            appliedMembershipIndex: appliedMembershipIndex, commitIndex: applied.index,
            appliedIndex: applied.index)
    }
}
