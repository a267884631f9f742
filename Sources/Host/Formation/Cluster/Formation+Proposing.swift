import Raft

/// The proposer's side of the agreement: when a ballot begins, and what its answers lead to.
extension Formation {
    /// Nothing keeps this node from holding a ballot but its turn.
    private var mayPropose: Bool {
        guard introduction.suffrage == .voter, expect > 0, state.chosen == nil,
            isSurveyOver, survey.clusters.isEmpty, tally.isQuorum, !roster.isOpen,
            survey.attendance.contains(identity.incarnation)
        else { return false }
        // A value on its way is to be brought to an end even if voters are missing.
        let isUseful =
            survey.voters.count >= expect || state.accepted != nil || survey.showsAcceptance
        return isUseful && state.lists.allSatisfy { isMet($0) }
    }

    /// When the first survey of the candidates ends, whoever has not answered.
    var surveyEnd: Duration {
        (roster.candidates.map(\.listedAt).min() ?? now) + settings.joinFirst
    }

    /// Voters go in the order of their IDs, so that they seldom outpace each other.
    var turnToPropose: Duration? {
        guard let eligibleSince else { return nil }
        let rank = survey.voters.firstIndex { $0.identity == identity } ?? 0
        return max(eligibleSince + settings.turn * rank, holdOffUntil)
    }

    mutating func driveProposal() {
        if proposal != nil {
            advanceProposal()
        } else if starting == nil, mayPropose {
            if eligibleSince == nil { eligibleSince = now }
            if let turn = turnToPropose, turn <= now { beginProposal() }
        } else {
            eligibleSince = nil
        }
    }

    /// As no node may: the others might do the same.
    private mutating func foundAtOnce() {
        let members = survey.voters.prefix(expect).map(\.member)
        guard !members.isEmpty else { return }
        announce(BootstrapValue(cluster: ClusterID(freshClusterID), members: members))
    }

    private mutating func beginProposal() {
        guard !settings.rules.breaks(.foundsWithoutQuorum) else { return foundAtOnce() }
        let list = CandidateList(
            expect: survey.list.expect, entries: survey.list.entries, dropped: drops)
        guard let counter = acceptor.state.nextCounter else {
            holdOffUntil = now + .seconds(1)
            return
        }
        let ballot = Ballot(counter: counter, proposer: identity.incarnation)
        // One write makes the counter durable and promises to the own ballot: asked over the
        // network like every other acceptor, this node has nothing left to write.
        let known = acceptor.answer(.prepare(ballot, list, from: introduction))
        guard case .promise = known else {
            holdOffUntil = now + .seconds(1)
            if case .refused(_, let refusal) = known { refused(refusal) }
            return
        }
        proposal = Proposal(ballot: ballot, list: list, now: now, ticket: persist())
        missedList = nil
    }

    private mutating func advanceProposal() {
        guard var current = proposal else { return }
        if now >= current.startedAt + settings.ballotPatience {
            missedList = current.missedList
            endProposal(pause: jitter.pause(100, 300))
            return
        }
        if case .persisting(let ticket) = current.phase {
            guard isDurable(ticket) else { return }
            current.phase = .preparing
            current.resendAt = now
        }
        let fresh = RandomID(
            high: freshClusterID.high, low: freshClusterID.low &+ current.ballot.counter)
        if let value = current.value(fresh: ClusterID(fresh)) {
            // Others may bring it to its end.
            guard !hasLeft(value.cluster) else { return }
            current.propose(value, now: now)
        }
        if let value = current.chosen {
            proposal = current
            announce(value)
            return
        }
        if now >= current.resendAt {
            current.resendAt = now + settings.resendInterval
            for address in current.unanswered { emit(.send(request(of: current), to: address)) }
        }
        proposal = current
    }

    private func request(of proposal: Proposal) -> FormationMessage {
        if case .accepting(let value) = proposal.phase {
            return .accept(proposal.ballot, proposal.list.withoutDrops, value, from: introduction)
        }
        return .prepare(proposal.ballot, proposal.list, from: introduction)
    }

    /// Tells everyone at once: that a quorum has accepted a value is a fact, durable here or not.
    private mutating func announce(_ value: BootstrapValue) {
        var told = roster.candidates.filter { $0.identity != identity }.map(\.address)
        for member in value.members
        where member.incarnation != identity.incarnation && !told.contains(member.address) {
            let isListed = roster.candidates.contains {
                $0.identity?.incarnation == member.incarnation
            }
            if !isListed { told.append(member.address) }
        }
        for address in told { emit(.send(.chosen(value), to: address)) }
        learn(value, campaign: true)
    }

    mutating func endProposal(pause: Duration) {
        proposal = nil
        failures += 1
        eligibleSince = nil
        holdOffUntil = max(holdOffUntil, now + pause * min(failures, 5))
    }

    // MARK: Learning

    /// The agreement has come to its end. A member starts once that is durable; anyone else joins.
    mutating func learn(_ value: BootstrapValue, campaign: Bool) {
        guard !hasLeft(value.cluster) else { return }
        if let known = state.chosen {
            if known.cluster != value.cluster {
                contradict(.otherBootstrap(value.cluster, known: known.cluster))
            }
            return
        }
        acceptor.state.chosen = value
        acceptor.state.dropped = []
        follow(value, campaign: campaign)
    }

    mutating func follow(_ value: BootstrapValue, campaign: Bool) {
        proposal = nil
        eligibleSince = nil
        let ticket = persist()
        if value.names(identity) {
            starting = (ticket, campaign)
        } else {
            learntAt = now
            roster.add(value.members.map(\.address), now: now)
            isExplanationDue = true
            roster.reschedule { $0.nextHello = min($0.nextHello, now + .milliseconds(100)) }
        }
    }

    /// Another proposer's list is worth a word when it is not this node's.
    mutating func noteOtherList(_ list: CandidateList) {
        guard list.expect == expect, !roster.candidates.isEmpty else { return }
        missedList = list.hasSameAddresses(as: survey.list) ? nil : list
    }
}
