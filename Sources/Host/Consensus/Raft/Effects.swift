/// Names a linearizable read that waits for its index.
package struct ReadID: Hashable, Comparable, Sendable {
    /// Counted up by the core; unique within its life.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: ReadID, b: ReadID) -> Bool { a.rawValue < b.rawValue }
}

/// Counts the writes to stable storage that the core asked for, in order.
package struct PersistTicket: Hashable, Comparable, Sendable {
    /// Counted up by the core; unique within its life.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: PersistTicket, b: PersistTicket) -> Bool { a.rawValue < b.rawValue }
}

/// Something that must become durable as a whole, in the order of tickets.
package struct Persist: Equatable, Sendable {
    /// To be reported by `persisted` when all of it is durable.
    package var ticket: PersistTicket
    /// Set when it changed.
    package var hardState: HardState?
    /// Contiguous. If the log already holds entries at or after the first one's index, they are
    /// discarded first (thesis §3.5).
    package var entries: [Entry]

    package init(ticket: PersistTicket, hardState: HardState?, entries: [Entry]) {
        self.ticket = ticket
        self.hardState = hardState
        self.entries = entries
    }
}

/// A snapshot by what it covers: all entries through `position`, with the membership valid there.
package struct SnapshotMark: Equatable, Sendable {
    /// The last entry that the snapshot covers.
    package var position: LogPosition
    /// Who belongs to the cluster there.
    package var membership: Membership
    /// The entry that set the membership.
    package var membershipIndex: LogIndex

    package init(position: LogPosition, membership: Membership, membershipIndex: LogIndex) {
        self.position = position
        self.membership = membership
        self.membershipIndex = membershipIndex
    }
}

/// What the driver of the core must do after an input, in this order:
///
/// 1. send `messages`;
/// 2. write `persist` (one ticket after the other) and report `persisted(_:)`; the write may run
///    beside everything below;
/// 3. send `messagesAfterPersist` only when the ticket named with each is durable: this is the one
///    place where "persist before send" is written;
/// 4. apply `committed`, each entry only once this node's own log holds it durably: a quorum may
///    have committed it earlier;
/// 5. serve `reads` once the state machine has applied the index named;
/// 6. fetch, snapshot and report what else is named.
package struct Effects: Equatable, Sendable {
    /// A message that promises what is not durable yet.
    package struct HeldMessage: Equatable, Sendable {
        /// What must be durable before it is sent.
        package var after: PersistTicket
        /// To be sent then, if the term is still the same.
        package var message: Message
        package init(after: PersistTicket, message: Message) {
            self.after = after
            self.message = message
        }
    }

    /// A read of which a quorum confirmed that this node led when it was asked (thesis §6.4).
    package struct ConfirmedRead: Equatable, Sendable {
        /// The read that was asked for.
        package var id: ReadID
        /// What the database must have applied before the read is served.
        package var index: LogIndex
        package init(id: ReadID, index: LogIndex) {
            self.id = id
            self.index = index
        }
    }

    /// Entries that a follower needs and the in-memory part of the log no longer holds.
    package struct LogFetch: Equatable, Sendable {
        /// New with each request of a run: an answer to an earlier one, even for the same entries,
        /// is told from it.
        package var id: UInt64
        /// The follower that needs the entries.
        package var peer: NodeID
        /// The first entry wanted.
        package var from: LogIndex
        /// Encoded bytes at most, but one entry at least.
        package var byteLimit: Int
        package init(id: UInt64, peer: NodeID, from: LogIndex, byteLimit: Int) {
            self.id = id
            self.peer = peer
            self.from = from
            self.byteLimit = byteLimit
        }
    }

    /// To be sent at once: they promise nothing that is not durable.
    package var messages: [Message] = []
    /// To be made durable, with what was handed out before.
    package var persist: Persist?
    /// To be sent when what they name is durable.
    package var messagesAfterPersist: [HeldMessage] = []
    /// Newly committed entries, contiguous with those reported before.
    package var committed: [Entry] = []
    /// Reads that may be served when the database is far enough.
    package var reads: [ConfirmedRead] = []
    /// Reads that can't be confirmed any more: leadership was lost.
    package var failedReads: [ReadID] = []
    /// Entries to be read from the log, for followers behind what is in memory.
    package var logFetches: [LogFetch] = []
    /// Followers that need a snapshot. Reported once; the driver answers with `snapshotSent`.
    package var snapshotsWanted: [NodeID] = []
    /// For the shell's log and metrics; nothing depends on them.
    package var observations: [Observation] = []

    package init() {}

    /// There is nothing to do.
    package var isEmpty: Bool { self == Effects() }
}

/// What happened, for logs and metrics.
package enum Observation: Equatable, Sendable {
    case roleChanged(RoleName, term: Term)
    case leaderChanged(NodeID?, term: Term)
    case membershipChanged(Membership, index: LogIndex)
    case membershipCommitted(Membership, index: LogIndex)
    case steppedDown(reason: StepDownReason)
    /// A message that has no effect and is no cause for alarm.
    case messageDropped(from: NodeIdentity, reason: DropReason)
    /// A message that no member can send that keeps to the protocol (`DropReason.isBreach`).
    /// Nothing of it was taken. The connection that brought it is to be closed, and it is to be
    /// said at the level of an error, with the peer's address.
    case messageRefused(from: NodeIdentity, reason: DropReason)
    /// The same of a snapshot that a peer offered or sent.
    case snapshotRefused(SnapshotMark, reason: DropReason)
    case followerUnreachable(NodeID)
    /// A follower lacks entries that it had acknowledged as durable: its disk lied about a sync,
    /// or went back to an older state. Writes may be held by one node fewer than a quorum since
    /// then. It is caught up again; its disk is to be replaced.
    case followerLostEntries(NodeID, acknowledged: LogIndex, holds: LogIndex)
    /// This node's own log can't be written, by the driver's word (`storageStalled`); or it can
    /// again. While it can't, the node does not campaign, and hands over if it leads.
    case storageStalled(Bool)
    /// No election is possible in this epoch any more: its terms are used up. A recovery by hand
    /// begins the next epoch. Repeated with each election timeout.
    case termsUsedUp(Term)
    /// Uncommitted entries of an earlier leader were discarded from this index on.
    case entriesDiscarded(from: LogIndex)
    case transferFinished(to: NodeID?, succeeded: Bool)
}

/// A role without its state, for people.
package enum RoleName: String, Sendable {
    case follower, preCandidate, candidate, leader
}

/// Why a leader gave leadership up.
package enum StepDownReason: String, Sendable {
    case higherTerm, quorumLost, removed, transferred
    /// Its log can't be written, others' can, and none of them took the leadership in time.
    case storageStalled
}

/// Why a message has no effect.
package enum DropReason: String, Sendable {
    case otherCluster, otherDestination, unknownIncarnation, notMember, staleTerm

    // No member sends these that keeps to the protocol.

    /// Its fields contradict each other, or one is past what there can be.
    case malformed
    /// Its term is further ahead than a message may move this node's (`Reach.terms`).
    case termTooFar
    /// Its term is of an epoch that this node was not recovered into.
    case otherEpoch
    /// Its index is further ahead than a snapshot may move this node's (`Reach.indexes`).
    case indexTooFar
    /// It denies an entry that is committed.
    case contradictsCommitted
    /// It claims the leadership of a term that another node leads.
    case secondLeader
    /// It acknowledges an entry that is not in the leader's log, or a round that never began.
    case acknowledgesUnknown

    /// The sender is broken or hostile.
    package var isBreach: Bool {
        switch self {
        case .otherCluster, .otherDestination, .unknownIncarnation, .notMember, .staleTerm: false
        case .malformed, .termTooFar, .otherEpoch, .indexTooFar, .contradictsCommitted,
            .secondLeader, .acknowledgesUnknown:
            true
        }
    }
}

/// Why an input was not taken.
package enum Refusal: Error, Equatable, Sendable {
    case notLeader(leader: NodeID?)
    /// The tail of uncommitted entries is at its limit: try again.
    case busy
    case transferInProgress
    /// No membership change before the previous one and an entry of the leader's own term are
    /// committed (thesis §4.1 and its published correction).
    case changeInProgress
    case unknownMember
    /// The ID is taken by another incarnation or with another suffrage: remove that member first.
    case alreadyMember
    /// A nonvoter is no learner: remove it and add it as a voter.
    case notPromotable
    case notCaughtUp
    case lastVoter
    /// The voters that would remain and answer are fewer than a quorum; these don't answer.
    case wouldLoseQuorum(silent: [NodeID])
    case noTransferTarget
    case transferToSelf
    case entryTooLarge(limit: Int)
}
