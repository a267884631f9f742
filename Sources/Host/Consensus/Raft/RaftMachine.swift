import Chance

/// The consensus core as a value: it is stepped by inputs and accumulates effects. It knows no
/// clock, disk, network or randomness of its own.
///
/// It follows the Raft dissertation with PreVote (§9.6), CheckQuorum (§6.2), ReadIndex (§6.4),
/// leadership transfer (§3.10) and membership changes of one server at a time (chapter 4), and
/// departs from it in two points: members are known by incarnation, so that a wiped disk neither
/// votes twice nor forgets an acknowledgement, and a leader counts its own disk like any other,
/// writing it beside the replication (§10.2.1).
///
/// Inputs change the state; what a leader has to send is decided once, in `takeEffects()`, so that
/// any number of inputs before it share messages and writes.
package struct RaftMachine: Sendable {
    /// Of this node.
    package let identity: NodeIdentity
    /// Of every message it sends and takes.
    package let cluster: ClusterID
    /// Times in ticks and bounds, fixed for its life.
    package let settings: RaftSettings

    var pending = Effects()
    var writes: WriteLedger
    var hardState: HardState
    var roleState = Role.follower(Follower())
    /// The most that the last leader this node heard said to be committed, and that leader's term.
    var heardCommit = LogPosition.zero
    var log: LogView
    var memberships: MembershipHistory
    /// `appliedIndex <= commitIndex <= log.lastIndex`. Everything through it was given out as
    /// committed, but what a start did not have in memory: whoever applies reads that from the log.
    package internal(set) var commitIndex: LogIndex
    var appliedIndex: LogIndex

    /// Ticks since this node last heard a leader or gave its vote, and how many it waits.
    var electionElapsed = 0
    var electionTimeout = 0
    var leaderSilence: Int?
    /// Terms that peers may still move this node ahead.
    var termAllowance = TermAllowance()
    /// This node's log can't be written, by its driver's word.
    var isStalled = false
    /// This node had better not lead, by its driver's word.
    var shunsLeading = false
    /// Nothing is applied for now, by its driver's word.
    var isApplyHalted = false
    /// Requests to the disk for followers' entries in this run.
    var fetchCount: UInt64 = 0
    /// The end of the log as others saw this node acknowledge it before it started.
    var witnessed: LogPosition?
    /// The last entry that others knew to be committed when they were asked at this node's start.
    var committedElsewhere: LogPosition?
    /// The last entry that each member acknowledged to this node in the terms of this run in which it led before.
    package internal(set) var acknowledgedBefore: [NodeIdentity: LogPosition] = [:]
    /// The leader said that this node is no member any more.
    var isRetired = false
    var random: SplitMix64

    /// - Parameter seed: decides the election timeouts; nothing else is random.
    package init(
        identity: NodeIdentity, cluster: ClusterID, settings: RaftSettings,
        restored: RestoredState, seed: UInt64
    ) {
        settings.check()
        precondition(
            restored.appliedIndex <= restored.commitIndex
                && restored.commitIndex <= restored.lastIndex,
            "restored: applied \(restored.appliedIndex), commit \(restored.commitIndex), "
                + "last \(restored.lastIndex)")
        self.identity = identity
        self.cluster = cluster
        self.settings = settings
        hardState = restored.hardState
        log = LogView(restored: restored, maxCachedBytes: settings.maxCachedBytes)
        memberships = MembershipHistory(restored: restored)
        writes = WriteLedger(durableIndex: restored.lastIndex)
        commitIndex = restored.commitIndex
        appliedIndex = restored.appliedIndex
        random = SplitMix64(seed: seed)
        resetElectionTimer()
        // A snapshot may have been installed right before a crash, and its term not written yet.
        if log.lastPosition.term > term {
            setHardState(HardState(term: log.lastPosition.term))
        }
        pending.committed = log.entries(after: log.settledIndex, through: commitIndex)
            .map(withoutOldMembership)
    }

    // MARK: Inputs. After any number of them, `takeEffects()`.

    /// To be called at every tick of the shell's clock. Elections, heartbeats and the check of the
    /// quorum count them.
    package mutating func tick() {
        termAllowance.tick()
        switch roleState {
        case .leader: tickLeader()
        case .follower, .preCandidate, .candidate:
            leaderSilence = leaderSilence.map { $0 + 1 }
            electionElapsed += 1
            if electionElapsed >= electionTimeout { electionTimedOut() }
        }
    }

    /// To be called for all ticks for which `tick` is not, as a snapshot is put in place or the process stood
    /// still: the leader is not heard meanwhile, and what this node knows of it gets older all the same.
    package mutating func tickUnheard(_ count: Int = 1) {
        leaderSilence = leaderSilence.map { $0 + count }
    }

    /// Appends commands to the log if this node leads; they take contiguous indexes.
    ///
    /// One batch is one write to the log and one effect, so its bytes are bounded like all that is
    /// uncommitted: a larger one is refused as `busy`, and its parts may be taken. A single command
    /// is taken whenever nothing else waits, or it could never be.
    /// - Returns: the index of the first and the term they were appended in.
    package mutating func propose(_ commands: [[UInt8]]) throws(Refusal) -> LogPosition {
        precondition(!commands.isEmpty, "nothing proposed")
        guard case .leader(let leader) = roleState else { throw .notLeader(leader: self.leader) }
        guard leader.transfer == nil else { throw .transferInProgress }
        guard commands.allSatisfy({ $0.count <= settings.maxEntryBytes }) else {
            throw .entryTooLarge(limit: settings.maxEntryBytes)
        }
        let first = log.lastIndex.next
        let entries = commands.enumerated().map { offset, bytes in
            Entry(index: first.advanced(by: offset), term: term, payload: .command(bytes))
        }
        let bytes = entries.reduce(log.unsettledBytes) { $0 + $1.size }
        let isAlone = log.unsettledBytes == 0 && commands.count == 1
        guard isAlone || bytes <= settings.maxUncommittedBytes else { throw .busy }
        append(entries)
        return LogPosition(index: first, term: term)
    }

    /// Campaign now: the proposer of a fresh bootstrap, or the only voter. Nothing happens where
    /// this node leads, is a candidate already, or is no voter; a working leader is not disturbed.
    package mutating func campaign() {
        switch roleState {
        case .leader, .candidate: break
        case .follower, .preCandidate: startPreVote()
        }
    }

    /// The leader says that the committed membership does not name this node any more, though its
    /// own log may not say so yet. It does not campaign until a leader speaks to it again; a
    /// leader's word is needed, for an uncommitted removal may come to nothing.
    package mutating func retire() {
        if case .leader = roleState { return }
        isRetired = true
        becomeFollower(term: term, leader: nil, because: nil)
    }

    /// The node's own log can't be written: its disk is full, or a write hangs; or it can again.
    ///
    /// A stalled leader hands over to a voter that writes, and steps down if none takes it; where
    /// the others are no quorum it stays, for then nobody could commit, and it still serves reads.
    /// A stalled node neither campaigns nor encourages others to count on its vote.
    package mutating func storageStalled(_ isStalled: Bool) {
        guard isStalled != self.isStalled else { return }
        self.isStalled = isStalled
        pending.observations.append(.storageStalled(isStalled))
        switch roleState {
        case .leader: lead { $0.handOver = nil }
        case .preCandidate, .candidate:
            if isStalled { becomeFollower(term: term, leader: nil, because: nil) }
        case .follower: break
        }
    }

    /// This node had better not lead, for a reason that has nothing to do with its log: it votes and
    /// acknowledges as before. It stands for election only when the others have let several election
    /// timeouts pass, for its log may be the only complete one; and nobody can hand over to it.
    package mutating func shunLeading(_ isOn: Bool) {
        shunsLeading = isOn
        if case .follower = roleState { resetElectionTimer() }
    }

    /// The write named by the ticket, and all before it, are durable.
    package mutating func persisted(_ ticket: PersistTicket) {
        writes.persisted(ticket)
        settleLog()
        switch roleState {
        case .candidate: countOwnVote()
        case .leader: commitByCounting()
        case .follower, .preCandidate: break
        }
    }

    /// The state machine has applied everything through `index`.
    package mutating func applied(through index: LogIndex) {
        precondition(index <= commitIndex, "applied \(index), committed only \(commitIndex)")
        appliedIndex = max(appliedIndex, index)
        settleLog()
    }

    /// The state machine takes no entries until further notice. Meanwhile nothing waits for it: what
    /// is committed and durable here leaves the memory, and whoever applies it later reads it from
    /// the log. So a halted majority goes on committing, whatever is written, and within its memory.
    package mutating func applyHalted(_ isOn: Bool) {
        isApplyHalted = isOn
        settleLog()
    }

    /// All that is to be done since the last call, in the order in which it must be done.
    package mutating func takeEffects() -> Effects {
        replicate()
        // Taken out, not copied.
        var effects = Effects()
        swap(&effects, &pending)
        return effects
    }

    // MARK: Queries

    /// Only a simulation breaks a rule, on purpose.
    func breaks(_ rule: BrokenRule) -> Bool { settings.rules.breaks(rule) }

    /// Present role.
    package var role: RoleName { roleState.name }
    /// Present term.
    package var term: Term { hardState.term }
    /// It gave its vote in this term.
    package var hasVoted: Bool { hardState.votedFor != nil }
    /// The last entry in the log, durable or not.
    package var lastPosition: LogPosition { log.lastPosition }
    /// The term of an entry of the log, or of its base; nil outside of the log.
    package func term(at index: LogIndex) -> Term? { log.term(at: index) }
    /// Nobody has written anything yet: no command stands in the log, and none stood there before. False also
    /// where the log's beginning is not in memory any more.
    package var isWithoutCommands: Bool {
        log.firstCachedIndex == LogIndex(1)
            && log.entries(after: .zero, through: log.lastIndex).allSatisfy { entry in
                if case .command = entry.payload { false } else { true }
            }
    }
    /// The latest membership in the log, committed or not.
    package var membership: Membership { memberships.latest.membership }
    /// The entry that set the present membership, committed or not (thesis §4.1).
    package var membershipIndex: LogIndex { memberships.latest.index }

    /// Who leads in this term, as far as this node knows.
    package var leader: NodeID? {
        switch roleState {
        case .follower(let follower): follower.leader
        case .preCandidate, .candidate: nil
        case .leader: identity.id
        }
    }

    /// The cluster was recovered and has no leader since: the first election needs every voter.
    package var needsEveryVoter: Bool { log.lastPosition.term.epoch < term.epoch }

    /// The most that this node knows to be committed: a follower's leader may have committed entries
    /// that its own log does not hold yet, and who loses the leader knows it still. Not before `commitIndex`.
    package var knownCommitIndex: LogIndex {
        if case .leader = roleState { commitIndex } else { max(commitIndex, heardCommit.index) }
    }

    /// The last entry that this node knows to be committed in its own log.
    package var committedPosition: LogPosition {
        LogPosition(index: commitIndex, term: log.term(at: commitIndex) ?? log.base.term)
    }

    /// This node leads and an entry of its own term is committed (thesis §6.4): it may serve reads.
    package var isReadyLeader: Bool {
        guard case .leader(let leader) = roleState else { return false }
        return commitIndex >= leader.termStart
    }

    /// Ticks since the leader was last heard, zero on the leader; nil when never in this run.
    package var ticksSinceLeader: Int? {
        if case .leader = roleState { 0 } else { leaderSilence }
    }

    /// Per other member while leading: what it holds durably and when it last answered.
    package var progress: [PeerProgress] {
        guard case .leader(let leader) = roleState else { return [] }
        return leader.progress.map(\.summary)
    }
}
