package import Raft
package import Wire

/// Names a proposal of this node until its fate is known.
package struct ProposalID: Hashable, Sendable {
    /// Given by the shell; unique within its life.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A snapshot that lies complete on this node's disk; the shell knows where.
package struct SnapshotToken: Hashable, Sendable {
    /// Given by whoever hands the snapshot in, and only compared.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What the log must make durable, in the order of tickets. Several may wait at once; the log
/// covers all that wait with one sync.
package struct LogWrite: Equatable, Sendable {
    /// To be reported when all of it is durable.
    package var ticket: PersistTicket
    /// Nil if it stays as it is.
    package var hardState: HardState?
    /// Contiguous; they replace what stands at or after the first.
    package var entries: [Entry]
    /// Written along without a sync of its own; a restart may find an older one.
    package var commitIndex: LogIndex

    package init(
        ticket: PersistTicket, hardState: HardState?, entries: [Entry], commitIndex: LogIndex
    ) {
        self.ticket = ticket
        self.hardState = hardState
        self.entries = entries
        self.commitIndex = commitIndex
    }
}

/// What the shell must do, in the order given.
package enum ReplicationEffect: Equatable, Sendable {
    case send([Message])
    case persist(LogWrite)
    /// Report `applied(through:)` when it is done, or `applyHalted(after:)` when it can't be. At most
    /// one batch is out at a time.
    case apply(ApplyBatch)
    /// A snapshot waits for the batch that is out: should there be no room for that, it is left where it stands.
    /// Report `applyGivenUp(after:)` then, and what became of the batch as always where it comes to its end.
    case giveUpBatch
    /// Decisions to leave entries out, committed just now. They come before the batch with any entry
    /// that was not handed out yet, so that who applies knows them in time.
    case decided([EntrySkip])
    /// These were never appended.
    case refused(ProposalID, Refusal)
    /// These were appended under a leadership that ended, and this node's log holds them no more.
    /// Whether they take effect is unknown: another node may hold them still and come to lead.
    case discarded([ProposalID])
    /// The state machine stands at or past the index these reads need.
    case readable([ReadID])
    case readsFailed([ReadID])
    case fetchLog(Effects.LogFetch)
    case sendSnapshot(to: NodeID)
    /// Delete log segments that hold nothing after the index; report `compacted(through:)`.
    case compactLog(through: LogIndex)
    /// Reset the log to the mark, put the snapshot in the place of the database, and report
    /// `snapshotInstalled(_:)`. Nothing else is out while this is.
    case installSnapshot(SnapshotMark, SnapshotToken)
    /// The same for the database alone: the log holds all of it and stays as it is. Then report
    /// `seeded`, or `snapshotUnusable`.
    case seed(SnapshotMark, SnapshotToken)
    /// The snapshot is not newer than what is here already, or the log has no room, and it would wait for that.
    case discardSnapshot(SnapshotToken)
    case observe(Observation)
}

/// Entries that are committed and durable here, to be applied together.
package struct ApplyBatch: Equatable, Sendable {
    /// A proposal of this node that takes effect with this batch.
    package struct Completion: Equatable, Sendable {
        /// Which proposal it is.
        package var id: ProposalID
        /// Where its entry stands.
        package var index: LogIndex

        package init(id: ProposalID, index: LogIndex) {
            self.id = id
            self.index = index
        }
    }

    /// Committed and durable here, in order.
    package var entries: [Entry]
    /// In the order of their indexes; to be answered once the batch is applied, not before.
    package var completions: [Completion]

    package init(entries: [Entry], completions: [Completion]) {
        self.entries = entries
        self.completions = completions
    }
}
