import Raft

/// Joining a cluster that a candidate knows, and the contradictions between nodes.
extension Formation {
    /// A join includes catching up, so it may take its time.
    var joinPatience: Duration { .seconds(30) }

    /// A candidate is in a cluster: ask it for the bootstrap, which may name this node, or join.
    mutating func approach(_ address: PeerAddress, _ facts: CandidateFacts) {
        guard let cluster = facts.cluster, !hasLeft(cluster), starting == nil,
            isClusterToJoin(cluster)
        else { return }
        if let since = roster[address]?.contactedAt, now < since + settings.answerPatience {
            return
        }
        if introduction.suffrage == .voter, expect > 0, state.chosen == nil {
            roster.update(address) { $0.contactedAt = now }
            emit(.send(.inquiry, to: address))
        } else {
            join(via: facts.leader ?? address, origin: address, redirects: 0)
        }
    }

    /// Whether this node has left the cluster for good: it says so, and brings nothing to its end there.
    mutating func hasLeft(_ cluster: ClusterID) -> Bool {
        guard state.abandoned.contains(cluster) else { return false }
        leftBehind = cluster
        if proposal != nil { endProposal(pause: .seconds(1)) }
        return true
    }

    /// The one this node knows of, else the one that works; never one of two that both work.
    private func isClusterToJoin(_ cluster: ClusterID) -> Bool {
        if let chosen = state.chosen { return chosen.cluster == cluster }
        return survey.ledClusters.allSatisfy { $0 == cluster }
    }

    /// A member's answer to anything it was asked.
    mutating func formed(_ cluster: ClusterID, _ value: BootstrapValue?, at address: PeerAddress) {
        roster.update(address) { $0.contactedAt = nil }
        guard !hasLeft(cluster) else { return }
        if let value { learn(value, campaign: false) }
        endProposalForCluster()
        guard starting == nil, isClusterToJoin(cluster) else { return }
        roster.update(address) { candidate in
            if candidate.facts?.cluster == nil { candidate.nextHello = now }
        }
        guard let facts = roster[address]?.facts, facts.cluster != nil else { return }
        join(via: facts.leader ?? address, origin: address, redirects: 0)
    }

    private mutating func endProposalForCluster() {
        if proposal != nil { endProposal(pause: .seconds(1)) }
    }

    private mutating func join(via address: PeerAddress, origin: PeerAddress, redirects: Int) {
        guard !joins.contains(where: { $0.address == address }) else { return }
        joins.append(
            JoinAttempt(address: address, origin: origin, startedAt: now, redirects: redirects))
        emit(.attemptJoin(via: address))
    }

    mutating func redirectJoin(from address: PeerAddress, reason: String, to leader: PeerAddress?) {
        guard let attempt = joins.first(where: { $0.address == address }) else { return }
        joins.removeAll { $0.address == address }
        if let leader, leader != address, attempt.redirects < FormationLimits.joinRedirects {
            join(via: leader, origin: attempt.origin, redirects: attempt.redirects + 1)
        } else {
            roster.update(attempt.origin) {
                $0.tries += 1
                $0.failure = reason
            }
        }
    }

    /// Whether the address was asked for a join on its own account.
    mutating func joinFailed(via address: PeerAddress) -> Bool {
        guard let attempt = joins.first(where: { $0.address == address }) else { return false }
        joins.removeAll { $0.address == address }
        if attempt.origin != address { roster.update(attempt.origin) { $0.tries += 1 } }
        return attempt.origin == address
    }

    mutating func expireJoins() {
        for attempt in joins where attempt.startedAt + joinPatience <= now {
            redirectJoin(from: attempt.address, reason: "join not answered", to: nil)
        }
    }

    /// With fewer than N voters in sight, a value that is already on its way is the only reason to
    /// hold a ballot; so ask.
    mutating func inquireIfUseful(_ address: PeerAddress) {
        guard introduction.suffrage == .voter, expect > 0, proposal == nil, state.chosen == nil,
            survey.voters.count < expect, tally.isQuorum
        else { return }
        emit(.send(.inquiry, to: address))
    }

    // MARK: Contradictions

    /// An acceptor's refusal. What hellos show too is left to them: they also show its end.
    mutating func refused(_ refusal: FormationRefusal) {
        if case .notDropped(let id, let address) = refusal { return noteUnaware(id, at: address) }
        if !refusal.isSeenInHellos { contradict(refusal) }
    }

    mutating func contradict(_ refusal: FormationRefusal) {
        guard !contradictions.contains(where: { $0.refusal == refusal }) else { return }
        // A peer may tell of any number of other clusters; hellos are those of the candidates alone.
        let lasting = contradictions.count { !$0.refusal.isSeenInHellos }
        guard refusal.isSeenInHellos || lasting < FormationLimits.lastingContradictions else {
            return
        }
        contradictions.append((refusal, now))
        emit(.refused(refusal))
    }

    /// Says what is new, forgets what is over, and ends what can't get better: a contradiction that
    /// involves this node, while there are not enough others to form a cluster without it.
    mutating func reviewContradictions() {
        let present = survey.refusals
        guard !present.isEmpty || !contradictions.isEmpty else { return }
        for refusal in present { contradict(refusal) }
        contradictions.removeAll { known in
            known.refusal.isSeenInHellos && !present.contains(known.refusal)
        }
        guard state.chosen == nil, proposal == nil, eligibleSince == nil, joins.isEmpty else {
            return
        }
        let lasting = contradictions.first {
            $0.since + settings.refusalPatience <= now && $0.refusal.involves(introduction)
                && present.contains($0.refusal)
        }
        if let lasting {
            isFinished = true
            emit(.fatal(lasting.refusal))
        }
    }
}

extension FormationRefusal {
    /// Hellos show whether it is still so.
    fileprivate var isSeenInHellos: Bool {
        switch self {
        case .expectDiffers, .nodeIDTaken: true
        case .tooManyLists, .otherBootstrap, .notDropped: false
        }
    }

    fileprivate func involves(_ node: FormationIntroduction) -> Bool {
        switch self {
        case .expectDiffers: true
        case .nodeIDTaken(let id, _, _): id == node.identity.id
        case .tooManyLists, .otherBootstrap, .notDropped: false
        }
    }
}
