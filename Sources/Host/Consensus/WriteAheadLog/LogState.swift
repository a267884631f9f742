package import Raft

/// What the log says, without the entries: right after opening, what was found on the disk.
package struct LogState: Equatable, Sendable {
    /// A membership and the entry that set it.
    package struct PlacedMembership: Equatable, Sendable {
        /// The entry, or 0 for that of the bootstrap.
        package var index: LogIndex
        /// From that entry on.
        package var membership: Membership
    }

    /// Nil in a log that was never used.
    package internal(set) var identity: NodeIdentity?
    /// Nil until the node belongs to one.
    package internal(set) var cluster: ClusterID?
    /// Bootstraps that were given up for a working cluster.
    package internal(set) var abandonedClusters: [ClusterID] = []
    /// The state of the agreement on a bootstrap, encoded; nil if there was none.
    package internal(set) var formation: [UInt8]?
    /// The state of a claim in a registry, encoded; nil if there was none.
    package internal(set) var registry: [UInt8]?
    /// Whether the database is to be trusted, encoded; nil if nothing was ever said of it.
    package internal(set) var quarantine: [UInt8]?
    /// The database file that counts; 0 before there is one.
    package internal(set) var generation: UInt64 = 0
    /// Term and vote.
    package internal(set) var hardState = HardState()
    /// A lower bound of what is committed: it is written lazily.
    package internal(set) var commitIndex = LogIndex.zero
    /// The entry before the first one.
    package internal(set) var base = LogPosition.zero
    /// The last entry, or the base. `base.index <= last.index`
    package internal(set) var last = LogPosition.zero
    /// The first index of each term among the entries.
    package internal(set) var termRuns: [LogPosition] = []
    /// Ascending: those that an uncommitted entry set and the one before them, because discarding
    /// the entries brings the earlier ones back (thesis §4.1).
    var memberships: [PlacedMembership] = []
    /// Damage was cut off the end of the log: until `MetadataRecord.caughtUp` is written the node
    /// must neither vote nor acknowledge entries, for it may have forgotten what it promised.
    package internal(set) var mustCatchUpBeforeVoting = false
    /// The boot of the machine in which the log was last opened.
    var bootID: RandomID?

    /// Of the last entry, or of the base.
    package var lastIndex: LogIndex { last.index }
    /// The latest, committed or not (thesis §4.1).
    package var membership: Membership { memberships.last?.membership ?? Membership() }
    /// The entry that set it.
    package var membershipIndex: LogIndex { memberships.last?.index ?? .zero }

    /// The latest that is committed, as far as this log knows: what is left when a leader discards all that need
    /// not stay. Empty where there is none.
    package var settledMembership: PlacedMembership {
        memberships.last { $0.index <= max(base.index, commitIndex) }
            ?? PlacedMembership(index: .zero, membership: Membership())
    }

    /// The term of the entry, or of the base; nil outside of the log.
    package func term(at index: LogIndex) -> Term? {
        if index == base.index { return base.term }
        guard index > base.index, index <= last.index else { return nil }
        return termRuns.last { $0.index <= index }?.term
    }

    // MARK: Changes, the same when they are written and when they are read back.

    /// Notes what a start recorded after it had opened the log.
    package mutating func note(_ record: MetadataRecord) { apply(record) }

    mutating func apply(_ record: LogRecord) {
        switch record {
        case .metadata(let record): apply(record)
        case .hardState(let hardState): self.hardState = hardState
        case .entries(let entries): append(entries)
        case .commitIndex(let index):
            commitIndex = max(commitIndex, index)
            pruneMemberships()
        case .base(let position): moveBase(to: position)
        case .boot(let id): bootID = id
        case .durableMark: break
        case .head(let head):
            let runs = termRuns
            self = head
            termRuns = head.last.index > head.base.index ? runs : []
        }
    }

    private mutating func apply(_ record: MetadataRecord) {
        switch record {
        case .identity(let identity): self.identity = identity
        case .cluster(let cluster): self.cluster = cluster
        case .generation(let generation): self.generation = generation
        case .abandoned(let cluster):
            if !abandonedClusters.contains(cluster) { abandonedClusters.append(cluster) }
            // What the bootstrap left here goes with it: the log holds nothing else.
            if self.cluster == cluster, last == .zero {
                self.cluster = nil
                memberships = []
            }
        case .formation(let bytes): formation = bytes
        case .registry(let bytes): registry = bytes
        case .quarantine(let bytes): quarantine = bytes
        case .bootstrapMembership(let membership):
            memberships = [PlacedMembership(index: .zero, membership: membership)]
        case .recovered(let cluster, let membership, let index):
            self.cluster = cluster
            memberships = [PlacedMembership(index: index, membership: membership)]
            hardState = HardState(term: hardState.term.nextEpoch)
        case .caughtUp: mustCatchUpBeforeVoting = false
        }
    }

    private mutating func append(_ entries: [Entry]) {
        guard let first = entries.first, let newLast = entries.last else { return }
        if first.index <= last.index {
            termRuns.removeAll { $0.index >= first.index }
            memberships.removeAll { $0.index >= first.index }
        }
        for entry in entries {
            if termRuns.last?.term != entry.term { termRuns.append(entry.position) }
            // A recovery took the place of those of earlier epochs.
            if case .membership(let membership) = entry.payload,
                entry.term.epoch == hardState.term.epoch
            {
                memberships.append(PlacedMembership(index: entry.index, membership: membership))
            }
        }
        last = newLast.position
        pruneMemberships()
    }

    private mutating func moveBase(to position: LogPosition) {
        base = position
        let covering = termRuns.last { $0.index <= position.index.next }
        termRuns.removeAll { $0.index <= position.index.next }
        if let covering, last.index > position.index {
            termRuns.insert(
                LogPosition(index: position.index.next, term: covering.term), at: 0)
        }
        pruneMemberships()
    }

    /// The log now begins after a snapshot; nothing of the earlier entries remains.
    mutating func reset(to mark: SnapshotMark, generation: UInt64) {
        base = mark.position
        last = mark.position
        termRuns = []
        memberships = [
            PlacedMembership(index: mark.membershipIndex, membership: mark.membership)
        ]
        commitIndex = mark.position.index
        self.generation = generation
    }

    /// What is committed is never discarded, so only the latest of those memberships is needed.
    private mutating func pruneMemberships() {
        let settled = max(base.index, commitIndex)
        guard let latest = memberships.lastIndex(where: { $0.index <= settled }) else { return }
        memberships.removeFirst(latest)
    }
}
