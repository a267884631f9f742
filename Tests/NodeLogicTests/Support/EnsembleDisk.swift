import NodeLogic
import Raft
import Wire
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
    var limits = WriteLimits.initial
    /// The entry that ends the process.
    var poison: LogIndex?
    /// Skips that were found in the log.
    var decisions: [EntrySkip] = []
    /// Those that were followed.
    var skips: [EntrySkip] = []
    /// Of all that was written.
    var trace = Digest()
    /// Whether the database is to be trusted, as the log has it.
    var quarantine: [UInt8]?
    /// The database's next batch finds it damaged.
    var isCorrupt = false

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
        case .quarantine(let bytes): quarantine = bytes
        case .identity, .generation, .abandoned, .recovered, .caughtUp: break
        }
    }

    mutating func note(_ text: String) {
        for byte in text.utf8 { trace.low = (trace.low ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }

    /// Of the rows as they are.
    var content: Digest {
        var copy = EnsembleDisk()
        for name in rows.keys.sorted() { copy.note("\(name)=\(rows[name] ?? "");") }
        return copy.trace
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

extension EnsembleDisk {
    /// Why the entry must not be applied; nil when it may.
    mutating func halt(at entry: Entry) -> ApplyHalt? {
        guard case .command(let bytes) = entry.payload else { return nil }
        if case .skip(let skip)? = try? LogCommand(decoding: bytes), !skips.contains(skip) {
            return .appliedSkipped(skip)
        }
        guard poison == entry.index, decision(about: entry) == nil else { return nil }
        return .suspected(
            SuspectEntry(
                index: entry.index, hash: CRC32C(bytes).value, place: .start, ends: 2,
                statement: "poison"))
    }

    /// Whether a decision leaves the entry out; then it is remembered.
    mutating func leavesOut(_ entry: Entry) -> Bool {
        guard let skip = decision(about: entry) else { return false }
        skips.append(skip)
        return true
    }

    private func decision(about entry: Entry) -> EntrySkip? {
        guard case .command(let bytes) = entry.payload else { return nil }
        let hash = CRC32C(bytes).value
        return decisions.first { $0.index == entry.index.rawValue && $0.hash == hash }
    }
}
