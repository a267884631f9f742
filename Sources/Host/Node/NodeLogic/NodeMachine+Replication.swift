import PeerProtocol
import Raft
import Replication
import Service
import Time
import Wire

/// What the replicated log decided, passed on in its order.
extension NodeMachine {
    mutating func perform(_ effect: ReplicationEffect) {
        switch effect {
        case .send(let messages): send(messages)
        case .persist(let write):
            flushMessages()
            emit(.log(.write(write)))
        case .apply(let batch): apply(batch)
        case .giveUpBatch: emit(.database(.giveUpBatch))
        case .decided(let skips): decided(skips)
        case .refused(let id, let refusal):
            if router.refused(id, refusal) { membership.settled() }
        case .discarded(let ids):
            for id in ids where router.discarded(id) { membership.settled() }
        case .readable(let ids):
            confirmedReads.ended(ids, at: now)
            router.readable(ids)
        case .readsFailed(let ids):
            confirmedReads.ended(inVain: ids)
            router.readsFailed(ids)
        case .fetchLog(let fetch): emit(.log(.fetch(fetch)))
        case .sendSnapshot(let peer):
            // A database that is not to be trusted is nobody's: the next leader sends its own.
            if quarantine.cause == nil {
                snapshots.wanted(by: peer, now: now)
            } else {
                replicated?.snapshotSent(to: peer, through: nil)
            }
        case .compactLog(let index): emit(.log(.compact(through: index)))
        case .installSnapshot(let mark, let token), .seed(let mark, let token):
            snapshots.install(mark, token)
        case .discardSnapshot(let token): snapshots.discard(token, problem: snapshotObstacle)
        case .observe(let observation): observe(observation)
        }
    }

    private mutating func apply(_ batch: ApplyBatch) {
        var answers: [AppliedAnswer] = []
        answers.reserveCapacity(batch.completions.count)
        for completion in batch.completions {
            switch router.completed(completion.id) {
            case .command(let pending):
                answers.append(
                    AppliedAnswer(
                        index: completion.index, key: pending.key, deadline: pending.deadline))
            case .membership: membership.settled()
            case .decision(let pending): awaitDecision(pending, at: completion.index)
            case .own, nil: break
            }
        }
        emit(.database(.apply(batch.entries, answers)))
    }

    private mutating func observe(_ observation: Observation) {
        switch observation {
        case .roleChanged(let role, let term):
            say(.debug, "role changed", ["raft.role": role.rawValue, "raft.term": "\(term)"])
            if role == .leader {
                becameLeader()
            } else {
                endLeadership()
                snapshots.stoppedLeading(now: now)
            }
        case .leaderChanged(let leader, _): leaderChanged(leader)
        case .membershipChanged(let membership, let index):
            learn(membership)
            takenInAgain(membership)
            say(
                .info, "membership changed",
                ["members": membership.summary, "raft.index": "\(index)"])
        case .membershipCommitted(let membership, _): forgetFormer(membership)
        case .steppedDown(let reason):
            // What an operator asked for is no trouble.
            say(
                reason == .transferred ? .info : .warning, "stepped down as leader",
                ["reason": reason.rawValue])
            if reason == .removed { wasRemoved("as leader, it committed its own removal") }
        case .messageDropped(let from, let reason):
            droppedMessages[reason, default: 0] += 1
            say(.debug, "message dropped", ["node.id": "\(from.id)", "reason": reason.rawValue])
            if reason == .otherCluster { metOtherCluster(from.id.rawValue, nil) }
            if reason == .unknownIncarnation { disown(from) }
        case .messageRefused(let from, let reason):
            droppedMessages[reason, default: 0] += 1
            refused(from, reason)
        case .snapshotRefused(let mark, let reason):
            say(
                .error, "snapshot refused: the peer is broken or hostile",
                ["raft.index": "\(mark.position.index)", "reason": reason.rawValue])
        case .followerLostEntries(let id, let acknowledged, let holds):
            troubles.note(
                .followerLostEntries, about: id.rawValue,
                "it acknowledged entry \(acknowledged) and holds \(holds)", now: now)
        case .storageStalled: reviewTroubles()
        case .termsUsedUp(let term):
            troubles.note(.termsUsedUp, about: "", "term \(term) is the last one", now: now)
        case .followerUnreachable(let id):
            say(.debug, "messages to a follower may be lost", ["node.id": "\(id)"])
        case .entriesDiscarded(let index):
            say(.info, "uncommitted entries discarded", ["raft.index": "\(index)"])
        case .transferFinished(let target, let succeeded):
            transferFinished(to: target, succeeded: succeeded)
        }
    }

    // MARK: Leadership

    private mutating func becameLeader() {
        say(
            .announcement,
            "this node (ID=\(options.identity.id), addr=\(options.address)) is now Leader")
        acquaintances.askAgain()
        // A new cluster's settings come before anything that clients wait to write. Its first leader may
        // have been lost before anybody else held them.
        if options.foreignKeys, replicated?.raft.isWithoutCommands ?? false {
            proposeSettings()
        }
        recordSkips()
    }

    /// A recovery can only leave out what was there before it. Whatever the operator's file names
    /// beyond is no entry of that time: a record of it would be about another one, which all nodes
    /// have applied, and none of them would trust its database any more.
    private mutating func recordSkips() {
        let skips = unrecordedSkips
        unrecordedSkips = []
        guard !skips.isEmpty, let raft = replicated?.raft else { return }
        let last = raft.lastPosition.index
        for skip in skips {
            let index = LogIndex(skip.index)
            if let term = raft.term(at: index), term.epoch < raft.term.epoch {
                propose([(.own, LogCommand.skip(skip).encoded())])
            } else if index >= last || raft.term(at: index) != nil {
                say(
                    .error, "skip.json named a log entry that no member had: nothing is left out",
                    ["raft.index": "\(skip.index)", "hash": "\(skip.hash)"])
            }
        }
    }

    private mutating func leaderChanged(_ leader: NodeID?) {
        leaderlessSince = leader == nil ? now : nil
        rendezvous.leaderChanged(leader, now)
        snapshots.leaderChanged(leader)
        if let leader {
            meetUnnamed(leader)
            // Who said that this node was removed may have been behind.
            if exclusion == .removed { rendezvous.isDoubted = true }
            askForTestimony()
            forgetRemovedLeader()
            forgetUnnamed()
        }
        if let leader, leader != options.identity.id {
            let address = address(of: leader)?.rawValue ?? "unknown address"
            say(.announcement, "node \(leader) at \(address) is now Leader")
        } else if leader == nil {
            say(.info, "Leader is now unknown")
        }
    }

    /// Notes from where on this leader's database holds all that its predecessors acknowledged.
    mutating func updateLeadership() {
        guard let raft = replicated?.raft, raft.isReadyLeader else { return endLeadership() }
        guard leaderReadsFrom == nil else { return }
        leaderReadsFrom = raft.commitIndex
    }

    private mutating func endLeadership() {
        if !options.raft.rules.breaks(.leasesTooLong) { leaderReadsFrom = nil }
    }

    mutating func transfer(_ key: RequestKey, to target: NodeID?, wait: Bool) {
        do throws(Refusal) {
            try replicated?.transferLeadership(to: target)
            if wait {
                transferWaiters.append(key)
            } else {
                router.answer(key, .done)
            }
        } catch {
            router.answer(key, .failed(.transfer(error)))
        }
    }

    private mutating func transferFinished(to target: NodeID?, succeeded: Bool) {
        say(
            .info, "leadership transfer finished",
            ["to": target?.rawValue ?? "nobody", "succeeded": "\(succeeded)"])
        for key in transferWaiters {
            router.answer(
                key, succeeded ? .done : .failed(.timedOut(waitingFor: "leadership transfer")))
        }
        transferWaiters = []
    }

    // MARK: Removal of this node

    /// The leader, or this node's own log, says that it is no member any more.
    /// - Parameter cause: for the operator.
    mutating func wasRemoved(_ cause: String) {
        guard exclusion == .none else { return rendezvous.excluded() }
        exclusion = options.stopsWhenRemoved ? .stopped : .removed
        rendezvous.excluded()
        replicated?.retire()
        troubles.set(.removed, "\(cause); \(exclusionRemedy)")
        tellTroubles()
        if exclusion == .stopped {
            say(.announcement, "Raft stopped because this node was removed from the cluster")
        }
    }

    /// The log names this node as a member, or a leader whom it asked does. That one speaks to it proves
    /// nothing: what it says may be meant for another data directory with this node's ID.
    mutating func takenInAgain(_ membership: Membership) {
        guard exclusion == .removed,
            membership[options.identity.id]?.incarnation == options.identity.incarnation
        else { return }
        exclusion = .none
        troubles.set(.removed, nil)
        say(.announcement, "this node is a member of the cluster again")
    }

    var exclusionRemedy: String {
        options.plan == .alone
            ? "restart it with -join to let it join again" : "restart it to let it join again"
    }

    // MARK: Reports of log and database

    mutating func take(_ report: LogReport) {
        switch report {
        case .written(let ticket): replicated?.persisted(ticket)
        case .fetched(let fetch, let entries): replicated?.fetched(entries, for: fetch)
        case .compacted(let base):
            replicated?.compacted(through: base)
            answerShortened()
        case .recorded(let id):
            if recordedSeed(id) { return }
            if let record = records.removeValue(forKey: id) { rendezvous.recorded(record) }
        case .reset(let mark, let generation): emit(.database(.switchTo(generation, mark)))
        case .full(let isFull):
            isLogFull = isFull
            replicated?.storageFull(isFull)
            if isFull { endHoldForLog() }
        }
    }

    mutating func take(_ report: DatabaseReport) {
        switch report {
        case .applied(let index):
            replicated?.applied(through: index)
            answerDecisions()
        case .gaveUp(let index): replicated?.applyGivenUp(after: index)
        case .halted(let cause, let index): applyHalted(cause, after: index)
        case .limits(let limits): self.limits = limits
        case .clockAhead(let clock): logClock = max(logClock, clock)
        case .checksum(let taken): take(taken)
        case .damaged(let text, let index): databaseDamaged(text, after: index)
        case .checkpointed(let index): replicated?.checkpointed(through: index)
        case .checkpointEnded(let index): checkpointEnded(through: index)
        case .full(let isFull):
            isDatabaseFull = isFull
            replicated?.databaseFull(isFull)
        case .readersHoldCheckpoint: emit(.evictOldestRead)
        case .snapshotOpened(let id, let result):
            snapshots.opened(
                id, result, cluster: cluster, term: replicated?.raft.term ?? .zero, now: now)
        case .holdOutgrown(let id): snapshots.holdOutgrown(id, now: now)
        case .prepared(let mark, let result): prepared(mark, result)
        case .switched(let mark, _): switched(mark)
        case .established: rendezvous.established()
        }
    }

    private mutating func prepared(
        _ mark: SnapshotMark, _ result: Result<Generation, DatabaseReport.Failure>
    ) {
        switch result {
        case .success(let generation):
            // One durable record in the log switches to the new file; until then the old one holds.
            if replicated?.isSeeding ?? false {
                recordSeed(generation, mark)
            } else {
                emit(.log(.reset(mark, generation)))
            }
        case .failure(let failure):
            replicated?.snapshotUnusable()
            snapshots.unusable(failure)
        }
    }

    private mutating func switched(_ mark: SnapshotMark) {
        databaseReplaced()
        if replicated?.isSeeding ?? false {
            replicated?.seeded(mark)
        } else {
            replicated?.snapshotInstalled(mark)
        }
        databaseReplaced(at: mark.position.index)
        servableFrom = mark.position.index
        learn(mark.membership)
        snapshots.installed(mark)
    }

    /// A new cluster's settings are its first command.
    private mutating func proposeSettings() {
        let settings = ClusterSettings(foreignKeys: options.foreignKeys)
        propose([(.own, LogCommand.settings(settings).encoded())])
    }
}
