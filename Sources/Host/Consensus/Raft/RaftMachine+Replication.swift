/// A leader's side of replication: probing, pipelining, heartbeats (thesis §3.5, §10.2).
extension RaftMachine {
    mutating func tickLeader() {
        lead { [lastIndex = log.lastIndex, settings] leader in
            leader.heartbeatElapsed += 1
            leader.recentEnds.tick(lastIndex, period: max(1, settings.electionTicks / 4))
            for i in leader.progress.indices {
                leader.progress[i].tick(lastIndex: lastIndex)
            }
        }
        guard hearsQuorum else {
            becomeFollower(term: term, leader: nil, because: .quorumLost)
            return
        }
        lead { [settings] leader in
            guard leader.heartbeatElapsed >= settings.heartbeatTicks else { return }
            leader.heartbeatElapsed = 0
            leader.heartbeatDue = true
        }
        tickTransfer()
        tickHandOver()
        promoteCaughtUpLearner()
    }

    /// Changes the leader's data in place; nothing happens on other nodes.
    mutating func lead(_ change: (inout Leader) -> Void) {
        guard case .leader(var leader) = roleState else { return }
        // Held once only, its arrays change without being copied.
        roleState = .follower(Follower())
        change(&leader)
        roleState = .leader(leader)
    }

    /// A quorum answered of late (CheckQuorum, thesis §6.2).
    private var hearsQuorum: Bool {
        guard case .leader(let leader) = roleState else { return false }
        let heard = membership.voters.count { voter in
            voter.id == identity.id
                || leader[voter.id].map { $0.ticksSinceAnswer < settings.quorumTicks } ?? false
        }
        return heard >= membership.quorum || breaks(.ignoresCheckQuorum)
    }

    // MARK: Sending

    /// Sends each follower what it lacks, as far as flow control lets, and the heartbeats due.
    mutating func replicate() {
        guard case .leader(var leader) = roleState else { return }
        // Held once only, its arrays change without being copied.
        roleState = .follower(Follower())
        startReadRound(&leader)
        let (round, isHeartbeatDue) = (leader.reads.round, leader.heartbeatDue)
        for i in leader.progress.indices {
            replicate(to: &leader.progress[i], round: round, isHeartbeatDue: isHeartbeatDue)
        }
        leader.heartbeatDue = false
        roleState = .leader(leader)
        confirmReads()
    }

    private mutating func replicate(
        to peer: inout Progress, round: UInt64, isHeartbeatDue: Bool
    ) {
        while peer.nextIndex <= log.lastIndex {
            guard let previous = log.term(at: peer.nextIndex.previous) else {
                wantSnapshot(for: &peer)
                break
            }
            guard peer.maySend(within: settings) else { break }
            guard peer.nextIndex >= log.firstCachedIndex else {
                wantEntries(for: &peer)
                break
            }
            let entries = log.batch(
                from: peer.nextIndex, maxBytes: settings.maxMessageBytes,
                maxCount: settings.maxMessageEntries)
            send(entries, after: previous, to: &peer, round: round)
        }
        let isCommitNews = peer.isReplicating && peer.sentCommitIndex < commitIndex
        if isHeartbeatDue || isCommitNews || peer.sentRound < round {
            sendHeartbeat(to: &peer, round: round)
        }
    }

    private mutating func send(
        _ entries: [Entry], after term: Term, to peer: inout Progress, round: UInt64
    ) {
        let previous = LogPosition(index: peer.nextIndex.previous, term: term)
        send(
            .appendEntries(
                .init(previous: previous, entries: entries, commitIndex: commitIndex, round: round)
            ), to: peer.id)
        peer.sent(entries)
        peer.sentCommitIndex = commitIndex
    }

    /// A heartbeat asks whether the logs agree right before the next entry to send. So it finds
    /// what got lost, and the follower learns of no commit beyond what it is known to hold.
    private mutating func sendHeartbeat(to peer: inout Progress, round: UInt64) {
        // Of a follower under suspicion it is asked whether it holds what it acknowledged.
        let index = peer.suspicion?.index ?? peer.nextIndex.previous
        // Below the base the term is forgotten; position zero matches every log.
        let previous = log.term(at: index).map { LogPosition(index: index, term: $0) } ?? .zero
        send(
            .appendEntries(
                .init(previous: previous, entries: [], commitIndex: commitIndex, round: round)),
            to: peer.id)
        peer.sentRound = round
        peer.sentCommitIndex = commitIndex
    }

    // MARK: Answers

    mutating func receive(_ answer: Message.AppendAnswer, from sender: NodeID) {
        guard case .leader(var leader) = roleState, let i = leader.position(of: sender) else {
            return
        }
        // Held once only, its arrays change without being copied.
        roleState = .follower(Follower())
        var peer = leader.progress[i]
        peer.ticksSinceAnswer = 0
        peer.answeredRound = max(peer.answeredRound, answer.round)
        switch answer.result {
        case .matched(let through):
            if let term = log.term(at: through) {
                peer.acknowledged(LogPosition(index: through, term: term))
            }
            peer.matched(
                through: through, round: answer.round, base: log.base.index, settings)
        case .mismatched(let previous, let hint):
            mismatched(&peer, at: previous, hint: hint, round: answer.round, &leader)
        }
        leader.progress[i] = peer
        roleState = .leader(leader)
        commitByCounting()
        confirmReads()
        continueTransfer()
        promoteCaughtUpLearner()
    }

    private mutating func mismatched(
        _ peer: inout Progress, at previous: LogIndex, hint: LogPosition, round: UInt64,
        _ leader: inout Leader
    ) {
        if case .snapshot = peer.state { return }
        // Without one the follower needs entries at or before the base: a snapshot.
        let agreed = log.lastPosition(notAfter: hint.index, term: hint.term)
        let next = agreed.map(\.index.next) ?? log.base.index
        if peer.isCurrentMismatch(at: previous) {
            if peer.mayResend(settings) { peer.probe(from: next) }
        } else if peer.provesLoss(at: previous, round: round) {
            let acknowledged = peer.matchIndex
            peer.forget(after: agreed?.index ?? .zero)
            peer.probe(from: next)
            pending.observations.append(
                .followerLostEntries(
                    peer.id, acknowledged: acknowledged, holds: agreed?.index ?? .zero))
        } else if previous <= peer.matchIndex, peer.suspicion == nil {
            // It denies what it acknowledged, or the answer is late. A question of a round that
            // begins now tells: nobody answered it before.
            peer.suspicion = .init(index: peer.matchIndex, round: leader.reads.beginRound())
        }
    }

    /// A message could not be delivered: the follower is probed again instead of sent more.
    package mutating func peerUnreachable(_ peer: NodeID) {
        lead { leader in
            // The next heartbeat that gets through asks where to go on.
            guard let i = leader.position(of: peer), leader.progress[i].isReplicating else {
                return
            }
            leader.progress[i].probe(
                from: leader.progress[i].matchIndex.next, isAsked: true)
        }
        if case .leader = roleState { pending.observations.append(.followerUnreachable(peer)) }
    }

    // MARK: Entries from disk

    private mutating func wantEntries(for peer: inout Progress) {
        guard peer.fetch == nil else { return }
        fetchCount += 1
        let fetch = Effects.LogFetch(
            id: fetchCount, peer: peer.id, from: peer.nextIndex, byteLimit: settings.maxMessageBytes
        )
        peer.fetch = fetch
        pending.logFetches.append(fetch)
    }

    /// The disk's answer to a `LogFetch`; empty when the log begins after what was asked. One that
    /// is no longer waited for, by its number, changes nothing.
    package mutating func fetched(_ entries: [Entry], for fetch: Effects.LogFetch) {
        guard case .leader(var leader) = roleState, let i = leader.position(of: fetch.peer),
            leader.progress[i].fetch?.id == fetch.id
        else { return }
        leader.progress[i].fetch = nil
        defer { roleState = .leader(leader) }
        // Meanwhile the follower may have been found to need others.
        guard leader.progress[i].nextIndex == fetch.from,
            leader.progress[i].maySend(within: settings)
        else { return }
        guard let first = entries.first, let previous = log.term(at: fetch.from.previous) else {
            wantSnapshot(for: &leader.progress[i])
            return
        }
        precondition(
            first.index == fetch.from && first.term == log.term(at: fetch.from),
            "fetched \(first.position) instead of \(fetch.from)")
        // A read may overtake a write that waits for room, and so see what stood there before.
        let batch = entries.prefix { log.term(at: $0.index) == $0.term }.batch(
            maxBytes: settings.maxMessageBytes, maxCount: settings.maxMessageEntries)
        send(batch, after: previous, to: &leader.progress[i], round: leader.reads.round)
    }
}
