package import Raft
internal import Wire

/// Ties the consensus core to the positions of this node's log and state machine: events in,
/// ordered effects out. It is where these rules are written:
///
/// - a message that depends on a write leaves only when that write is durable;
/// - an entry is applied only when it is committed *and* durable in this node's own log;
/// - a read is served only when the state machine stands at its index;
/// - a proposal succeeds only when its entry is applied, and its fate is open when it is discarded;
/// - the log is compacted only behind a finished checkpoint;
/// - while a snapshot is put in place, nothing else is under way.
package struct ReplicatedLog: Sendable {
    /// The consensus core, to be read only.
    package internal(set) var raft: RaftMachine
    /// Bounds, fixed for its life.
    package let settings: ReplicationSettings

    /// What is being written, oldest first.
    private var writing: [OpenWrite] = []
    /// Messages that wait for a write. None is of a term that has passed, and none waits while the
    /// log is stalled: what they say is old then, and would be said again if it mattered.
    private var held: [Effects.HeldMessage] = []
    /// Ticks of this run.
    var ticks: UInt64 = 0
    /// The shell says that there is no room for the log.
    private(set) var isStorageFull = false
    /// … or for the database.
    var isDatabaseFull = false
    /// The oldest write takes longer than `RaftSettings.stallTicks`.
    private var isWriteStuck = false
    /// Everything through here is durable in this node's log. appliedIndex <= durableIndex.
    package private(set) var durableIndex: LogIndex
    /// Committed entries that were not handed to the state machine yet, contiguous. Where it ends
    /// before `commitIndex` the rest lies in the log only, and is read from there: nothing is held
    /// while nothing is applied.
    var toApply: [Entry] = []
    /// Asked of the log, and not answered.
    var rereading: Effects.LogFetch?
    var rereadCount: UInt64 = 0
    /// The batch that is out, and its last entry.
    var applying: (through: LogIndex, entries: [Entry])?
    /// Whoever applies refuses the next entry; nothing is handed out until `resumeApplying`.
    package internal(set) var isApplyHalted = false
    /// Every entry up to it is applied in the database.
    package internal(set) var appliedIndex: LogIndex
    /// Proposals in the log whose fate is open, by index.
    private var proposals: [(id: ProposalID, position: LogPosition)] = []
    /// Confirmed reads that wait for the state machine, by index.
    private var waitingReads: [Effects.ConfirmedRead] = []
    /// What the last finished checkpoint of the database covers.
    package internal(set) var checkpointedIndex: LogIndex
    var baseIndex: LogIndex
    var compacting = false
    /// How many entries somebody wants the log to keep, once, whatever the settings say.
    var wantedTail: UInt64?
    /// Until then no compaction is proposed: one failed.
    var compactionPausedUntil: UInt64 = 0
    /// What is still to be copied elsewhere; nil: nothing.
    var heldTail: HeldTail?
    var snapshot: Installation = .none
    /// Any snapshot takes the place of the database.
    var wantsSeed = false
    var effects: [ReplicationEffect] = []

    private struct OpenWrite {
        let ticket: PersistTicket
        /// The last entry that it made part of the log; lowered when entries are discarded later.
        var lastIndex: LogIndex?
        /// The tick at which it was handed out.
        let since: UInt64
    }

    enum Installation {
        case none
        /// Waits until nothing is being written or applied.
        case waiting(SnapshotMark, SnapshotToken)
        case installing
        /// The database alone is replaced, for the log holds the position: waits until nothing is
        /// being applied.
        case waitingToSeed(SnapshotMark, SnapshotToken)
        case seeding
    }

    /// - Parameter restored: what was found on the disk; the entries behind the database's position
    ///   are applied again.
    package init(
        raft: RaftMachine, restored: RestoredState, settings: ReplicationSettings = .init()
    ) {
        self.raft = raft
        self.settings = settings
        durableIndex = restored.lastIndex
        appliedIndex = restored.appliedIndex
        // The database holds what it applied durably only up to its last checkpoint; which one
        // that is becomes known with the next.
        checkpointedIndex = restored.base.index
        baseIndex = restored.base.index
        let skips = restored.passed.compactMap(\.skip)
        if !skips.isEmpty { effects.append(.decided(skips)) }
        drain()
    }

    // MARK: Events

    /// To be called at every tick of the shell's clock.
    package mutating func tick() {
        ticks += 1
        // A snapshot may wait for a write that hangs.
        reviewStorage()
        if isInstalling { raft.tickUnheard() } else { raft.tick() }
        drain()
    }

    /// So many ticks passed, beside those of `tick`, in which the shell stood still.
    package mutating func stoodStill(ticks count: Int) { raft.tickUnheard(count) }

    /// The log's disk has no room, by the word of the thread that writes it; or it has again. A
    /// write that merely takes too long is noticed here without it.
    package mutating func storageFull(_ isFull: Bool) {
        isStorageFull = isFull
        if isFull { dropWaitingSnapshot() }
        reviewStorage()
        drain()
    }

    /// Why the snapshot must not be taken from a peer; nil when it may. For the shell to ask when
    /// one is offered: it refuses the offer, closes the connection and says so.
    package func breach(of mark: SnapshotMark) -> DropReason? { raft.breach(of: mark) }

    /// Another member saw what this node promised before it started.
    /// - Returns: why it is not believed; nil: it is.
    package mutating func heard(_ testimony: RaftMachine.Testimony) -> DropReason? {
        guard !isReplacing else { return nil }
        defer { drain() }
        return raft.heard(testimony)
    }

    /// Messages of other nodes, in the order in which they came.
    package mutating func receive(_ messages: [Message]) {
        for message in messages where mayHear(message) { raft.receive(message) }
        drain()
    }

    /// Proposes commands in order. More than there is room for is taken in parts, and what finds
    /// none is refused as `busy`; one that is too large is refused, and none beside it.
    package mutating func propose(_ commands: [(id: ProposalID, bytes: [UInt8])]) {
        guard !isInstalling else {
            for command in commands { refuse(command.id, .notLeader(leader: nil)) }
            return
        }
        do throws(Refusal) {
            let first = try raft.propose(commands.map(\.bytes))
            for (offset, command) in commands.enumerated() {
                let index = first.index.advanced(by: offset)
                proposals.append((command.id, LogPosition(index: index, term: first.term)))
            }
        } catch .busy where commands.count > 1, .entryTooLarge where commands.count > 1 {
            // A part of them may still fit: they are of many clients.
            let half = commands.count / 2
            propose(Array(commands[..<half]))
            propose(Array(commands[half...]))
            return
        } catch {
            for command in commands { refuse(command.id, error) }
        }
        drain()
    }

    /// One change of the membership; its fate is told by the effects, under `id`.
    package mutating func propose(_ change: MembershipChange, id: ProposalID) {
        guard !isInstalling else { return refuse(id, .notLeader(leader: nil)) }
        do throws(Refusal) {
            proposals.append((id, try raft.propose(change)))
        } catch {
            refuse(id, error)
        }
        drain()
    }

    /// Asks that the reads behind `id` be confirmed; one identifier may stand for many reads.
    package mutating func requestRead(_ id: ReadID) {
        do throws(Refusal) {
            try raft.requestRead(id)
        } catch {
            effects.append(.readsFailed([id]))
        }
        drain()
    }

    /// Hands leadership to the target, or to the member that is furthest.
    /// - Throws: `Refusal` if this node doesn't lead or nobody can take it.
    package mutating func transferLeadership(to target: NodeID?) throws(Refusal) {
        try raft.transferLeadership(to: target)
        drain()
    }

    /// Starts an election at once.
    package mutating func campaign() {
        raft.campaign()
        drain()
    }

    /// This node is no member any more, by the leader's word.
    package mutating func retire() {
        raft.retire()
        drain()
    }

    /// The write of `ticket`, and all before it, are durable.
    package mutating func persisted(_ ticket: PersistTicket) {
        while let first = writing.first, first.ticket <= ticket {
            if let last = first.lastIndex { durableIndex = last }
            writing.removeFirst()
        }
        reviewStorage()
        raft.persisted(ticket)
        let free = held.prefix { $0.after <= ticket }.map(\.message)
        if !free.isEmpty {
            effects.append(.send(free))
            held.removeFirst(free.count)
        }
        drain()
    }

    /// Something goes on as soon as the batch handed out last is applied.
    package var awaitsApplied: Bool {
        !waitingReads.isEmpty || !toApply.isEmpty || lacksCommitted || isInstalling || isApplyHalted
    }

    /// The batch handed out last was applied, through `index`.
    package mutating func applied(through index: LogIndex) {
        let expected = applying?.through ?? .zero
        precondition(index == expected, "applied \(index), handed out \(expected)")
        advance(to: index)
        drain()
    }

    mutating func advance(to index: LogIndex) {
        precondition(index <= durableIndex, "applied \(index) beyond durable \(durableIndex)")
        applying = nil
        guard index > appliedIndex else { return }
        appliedIndex = index
        raft.applied(through: index)
    }

    /// The answer to an effect that asks for entries of the log.
    package mutating func fetched(_ entries: [Entry], for fetch: Effects.LogFetch) {
        if fetch.peer == raft.identity.id {
            reread(entries, for: fetch)
        } else {
            raft.fetched(entries, for: fetch)
        }
        drain()
    }

    /// A snapshot was installed by the peer, through this index; nil: it was not.
    package mutating func snapshotSent(to peer: NodeID, through index: LogIndex?) {
        raft.snapshotSent(to: peer, through: index)
        drain()
    }

    /// A snapshot arrived and lies complete on disk.
    package mutating func snapshotReceived(_ mark: SnapshotMark, token: SnapshotToken) {
        if let reason = raft.breach(of: mark) {
            effects.append(.observe(.snapshotRefused(mark, reason: reason)))
            effects.append(.discardSnapshot(token))
            return
        }
        if case .none = snapshot, wantsSeed, raft.role != .leader,
            mark.position.index >= appliedIndex, mark.position.index <= raft.commitIndex,
            raft.term(at: mark.position.index) == mark.position.term
        {
            snapshot = .waitingToSeed(mark, token)
            hurryBatch()
            return drain()
        }
        // A log that holds the position needs no snapshot, and what follows the position there was
        // acknowledged: it must not be thrown away.
        let isNeeded =
            mark.position.index > raft.commitIndex
            && raft.term(at: mark.position.index) != mark.position.term
        guard case .none = snapshot, raft.role != .leader,
            isNeeded || raft.settings.rules.breaks(.acceptsStaleSnapshots)
        else {
            effects.append(.discardSnapshot(token))
            return
        }
        snapshot = .waiting(mark, token)
        hurryBatch()
        drain()
    }

    /// Log and database stand at the mark now, durably.
    package mutating func snapshotInstalled(_ mark: SnapshotMark) {
        guard case .installing = snapshot else {
            preconditionFailure("no snapshot is being installed")
        }
        snapshot = .none
        raft.snapshotInstalled(mark)
        durableIndex = mark.position.index
        appliedIndex = mark.position.index
        checkpointedIndex = mark.position.index
        baseIndex = mark.position.index
        toApply = []
        haltApplying(false)
        trustDatabase()
        held = []
        discardProposals { _ in true }
        drain()
    }

    /// The snapshot that was to be installed proved unusable before log or database changed.
    package mutating func snapshotUnusable() {
        switch snapshot {
        case .installing, .seeding: snapshot = .none
        case .none, .waiting, .waitingToSeed:
            preconditionFailure("no snapshot is being installed")
        }
        drain()
    }

    /// A finished, synced checkpoint of the database covers everything through `index`.
    package mutating func checkpointed(through index: LogIndex) {
        checkpointedIndex = max(checkpointedIndex, index)
        drain()
    }

    /// A message to the peer could not be delivered.
    package mutating func peerUnreachable(_ peer: NodeID) {
        raft.peerUnreachable(peer)
        drain()
    }

    /// All that is to be done since the last call, in the order in which it must be done.
    package mutating func takeEffects() -> [ReplicationEffect] {
        guard !effects.isEmpty else { return [] }
        defer { effects = [] }
        return effects
    }

    // MARK: Queries

    /// A received snapshot is being put in the place of log and database.
    package var isInstalling: Bool {
        switch snapshot {
        case .waiting, .installing: true
        case .none, .waitingToSeed, .seeding: false
        }
    }

    /// It does so now, and waits for nothing any more: the core takes nothing in, for the log is just being replaced.
    package var isReplacing: Bool { if case .installing = snapshot { true } else { false } }

    /// This node's log can't be written at the moment: it is full, or a write hangs.
    package var isStorageStalled: Bool { isStorageFull || isWriteStuck }

    /// Writes and applies in the hands of the shell, for status.
    package var outstandingWrites: Int { writing.count }
    /// Proposals whose fate is not known yet.
    package var openProposals: Int { proposals.count }

    // MARK: From the core's effects to the shell's

    private mutating func refuse(_ id: ProposalID, _ refusal: Refusal) {
        effects.append(.refused(id, refusal))
    }

    mutating func drain() {
        let output = raft.takeEffects()
        if !output.isEmpty { take(output) }
        release()
    }

    /// Tells the core whether the log can be written, and lets go of messages that waited too long.
    private mutating func reviewStorage() {
        let patience = UInt64(raft.settings.stallTicks)
        isWriteStuck = writing.first.map { ticks - $0.since >= patience } ?? false
        if isStorageStalled { held = [] }
        raft.storageStalled(isStorageStalled)
    }

    private mutating func take(_ output: Effects) {
        held.removeAll { $0.message.term < raft.term }
        if !output.messages.isEmpty { effects.append(.send(output.messages)) }
        if let persist = output.persist {
            write(persist)
        }
        for message in output.messagesAfterPersist {
            let isDurable = writing.first.map { $0.ticket > message.after } ?? true
            if isDurable && held.isEmpty {
                effects.append(.send([message.message]))
            } else if !isStorageStalled, message.message.term >= raft.term {
                held.append(message)
            }
        }
        hold(output.committed)
        let skips = output.committed.compactMap(\.skip)
        if !skips.isEmpty { effects.append(.decided(skips)) }
        waitingReads.append(contentsOf: output.reads)
        if !output.failedReads.isEmpty { effects.append(.readsFailed(output.failedReads)) }
        for fetch in output.logFetches { effects.append(.fetchLog(fetch)) }
        for peer in output.snapshotsWanted { effects.append(.sendSnapshot(to: peer)) }
        for observation in output.observations {
            if case .entriesDiscarded(let from) = observation {
                discardProposals { $0.index >= from }
            }
            effects.append(.observe(observation))
        }
    }

    private mutating func write(_ persist: Persist) {
        if let first = persist.entries.first?.index {
            precondition(first > appliedIndex, "truncation at \(first) below applied")
            durableIndex = min(durableIndex, first.previous)
            // What is being written from here on is no part of the log any more.
            for position in writing.indices {
                if let last = writing[position].lastIndex, last >= first {
                    writing[position].lastIndex = first.previous
                }
            }
        }
        writing.append(
            OpenWrite(
                ticket: persist.ticket, lastIndex: persist.entries.last?.index, since: ticks))
        effects.append(
            .persist(
                LogWrite(
                    ticket: persist.ticket, hardState: persist.hardState, entries: persist.entries,
                    commitIndex: raft.commitIndex)))
    }

    /// Hands out what has become possible.
    private mutating func release() {
        if case .waiting(let mark, let token) = snapshot {
            guard writing.isEmpty, applying == nil, !compacting else { return }
            snapshot = .installing
            effects.append(.installSnapshot(mark, token))
            return
        }
        if case .waitingToSeed(let mark, let token) = snapshot, applying == nil,
            mark.position.index <= durableIndex
        {
            snapshot = .seeding
            effects.append(.seed(mark, token))
        }
        guard !isInstalling else { return }
        handOutApply()
        releaseReads()
        proposeCompaction()
    }

    private mutating func handOutApply() {
        reread()
        guard applying == nil, !isApplyHalted, let first = toApply.first,
            first.index <= durableIndex
        else { return }
        precondition(first.index == appliedIndex.next, "apply \(first.index) after \(appliedIndex)")
        var count = 0
        var bytes = 0
        for entry in toApply {
            guard entry.index <= durableIndex, count < settings.maxApplyEntries,
                count == 0 || bytes + entry.size <= settings.maxApplyBytes
            else { break }
            count += 1
            bytes += entry.size
        }
        let batch = Array(toApply[..<count])
        toApply.removeFirst(count)
        applying = (batch[count - 1].index, batch)
        heldTail?.add(bytes, through: batch[count - 1].index)
        // Only the entry of the same term is ours: another leader's may stand at its index.
        discardProposals { position in
            let offset = position.index.distance(from: first.index)
            return position.index >= first.index && offset < count
                && batch[offset].term != position.term
        }
        let owned = proposals.prefix { $0.position.index <= batch[count - 1].index }.map {
            ApplyBatch.Completion(id: $0.id, index: $0.position.index)
        }
        proposals.removeFirst(owned.count)
        effects.append(.apply(ApplyBatch(entries: batch, completions: owned)))
    }

    private mutating func releaseReads() {
        let ready = waitingReads.filter { $0.index <= appliedIndex }.map(\.id)
        guard !ready.isEmpty else { return }
        waitingReads.removeAll { $0.index <= appliedIndex }
        effects.append(.readable(ready))
    }

    mutating func discardProposals(_ isLost: (LogPosition) -> Bool) {
        let lost = proposals.filter { isLost($0.position) }.map(\.id)
        guard !lost.isEmpty else { return }
        proposals.removeAll { isLost($0.position) }
        effects.append(.discarded(lost))
    }
}
