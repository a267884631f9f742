import Chance

/// Elections: PreVote, votes, and changes of role (thesis chapter 3, §9.6).
extension RaftMachine {
    // MARK: Who may

    private var mayCampaign: Bool {
        if isRetired || isStalled || term.isLastOfEpoch { return false }
        if missing != nil || lackedCommitted != nil { return false }
        return isElectable
    }

    /// Only voters campaign. A voter that the log's last membership removes may still be needed
    /// until that membership is committed: its log may be the only complete one (thesis §4.2.2).
    package var isElectable: Bool {
        if membership[identity.id] != nil { return isVoter(in: membership) }
        return memberships.previous.map { isVoter(in: $0.membership) } ?? false
    }

    func isVoter(in membership: Membership) -> Bool {
        membership[identity.id].map {
            $0.suffrage == .voter && $0.incarnation == identity.incarnation
        } ?? false
    }

    /// This node leads, or heard the leader within the shortest election timeout.
    var hasLiveLeader: Bool {
        switch roleState {
        case .leader: true
        case .follower(let follower):
            follower.leader != nil && (leaderSilence ?? .max) < settings.electionTicks
        case .preCandidate, .candidate: false
        }
    }

    /// Election timeouts for which a node that shuns leading lets others stand first.
    private static let shunning = 5

    /// - Parameter ticks: the shortest time; nil: what a follower waits for its leader.
    mutating func resetElectionTimer(_ ticks: Int? = nil) {
        let shortest = (ticks ?? settings.electionTicks) * (shunsLeading ? Self.shunning : 1)
        electionElapsed = 0
        electionTimeout = shortest + random.within(0...shortest / 2)
    }

    // MARK: Campaigns

    mutating func electionTimedOut() {
        guard !mayCampaign else { return startPreVote() }
        resetElectionTimer()
        if leader != nil { change(to: .follower(Follower(leader: nil))) }
        if term.isLastOfEpoch { pending.observations.append(.termsUsedUp(term)) }
    }

    /// Asks whether an election could be won before it disturbs anybody with a new term.
    mutating func startPreVote() {
        guard mayCampaign else { return }
        guard !breaks(.ignoresPreVote) else { return startElection(isTransfer: false) }
        resetElectionTimer(settings.campaignTicks)
        var campaign = Campaign()
        if isVoter(in: membership) { campaign.record(identity.id, granted: true) }
        change(to: .preCandidate(campaign))
        if campaign.isWon(in: membership, needed: votesNeeded) {
            startElection(isTransfer: false)
        } else {
            requestVotes(isPreVote: true, isTransfer: false, term: term.next)
        }
    }

    /// A quorum; right after a recovery by hand all voters, so that the leader's log is the most
    /// complete one of those that go on, and nobody holds a committed entry that it lacks.
    private var votesNeeded: Int {
        needsEveryVoter ? membership.voters.count : membership.quorum
    }

    private mutating func startElection(isTransfer: Bool) {
        resetElectionTimer(settings.campaignTicks)
        let vote = HardState.Vote(candidate: identity.id, incarnation: identity.incarnation)
        setHardState(HardState(term: term.next, votedFor: vote))
        change(to: .candidate(Campaign()))
        requestVotes(isPreVote: false, isTransfer: isTransfer, term: term)
    }

    private mutating func requestVotes(isPreVote: Bool, isTransfer: Bool, term: Term) {
        let request = Message.VoteRequest(
            isPreVote: isPreVote, isTransfer: isTransfer, lastLog: log.lastPosition)
        for voter in membership.voters where voter.id != identity.id {
            send(.voteRequest(request), to: voter.id, term: term)
        }
    }

    /// The leader hands over (thesis §3.10): no pre-vote, for it is known that the old one ends.
    mutating func receiveTimeoutNow(from sender: NodeID) {
        guard case .follower(let follower) = roleState, follower.leader == sender, mayCampaign,
            !shunsLeading
        else {
            return
        }
        startElection(isTransfer: true)
    }

    // MARK: Votes

    mutating func answer(_ request: Message.VoteRequest, _ message: Message) {
        let vote = HardState.Vote(
            candidate: message.from.id, incarnation: message.from.incarnation)
        let isFree = hardState.votedFor == nil && leader == nil
        let mayVote =
            hardState.votedFor == vote || isFree || (request.isPreVote && message.term > term)
        // A stalled node's vote would never come: whoever counts on it disturbs for nothing.
        let isWorthless = request.isPreVote && isStalled
        let isComplete = [log.lastPosition, missing, lackedCommitted].compactMap(\.self)
            .allSatisfy { request.lastLog.isUpToDate(with: $0) }
        let granted = mayVote && !isWorthless && isComplete
        if granted && !request.isPreVote {
            setHardState(HardState(term: term, votedFor: vote))
            resetElectionTimer()
        }
        // A granted pre-vote names the term asked about; everything else this node's own, which
        // may be news to the candidate.
        send(
            .voteAnswer(.init(isPreVote: request.isPreVote, granted: granted)),
            to: message.from.id, term: granted ? message.term : term)
    }

    mutating func count(_ answer: Message.VoteAnswer, _ message: Message) {
        switch roleState {
        case .preCandidate(var campaign) where answer.isPreVote:
            // A grant is about the term after this one, or it answers an earlier question.
            guard message.term == (answer.granted ? term.next : term) else { return }
            campaign.record(message.from.id, granted: answer.granted)
            roleState = .preCandidate(campaign)
            if campaign.isWon(in: membership, needed: votesNeeded) {
                startElection(isTransfer: false)
            } else if campaign.isLost(in: membership, needed: votesNeeded) {
                becomeFollower(term: term, leader: nil, because: nil)
            }
        case .candidate(var campaign) where !answer.isPreVote:
            campaign.record(message.from.id, granted: answer.granted)
            roleState = .candidate(campaign)
            endElection(campaign)
        case .follower, .preCandidate, .candidate, .leader: break
        }
    }

    /// The candidate's vote for itself counts like any other: once it is durable.
    mutating func countOwnVote() {
        guard case .candidate(var campaign) = roleState, writes.isHardStateDurable,
            isVoter(in: membership)
        else { return }
        campaign.record(identity.id, granted: true)
        roleState = .candidate(campaign)
        endElection(campaign)
    }

    private mutating func endElection(_ campaign: Campaign) {
        if campaign.isWon(in: membership, needed: votesNeeded) {
            becomeLeader()
        } else if campaign.isLost(in: membership, needed: votesNeeded) {
            becomeFollower(term: term, leader: nil, because: nil)
        }
    }

    // MARK: Roles

    private mutating func becomeLeader() {
        let next = log.lastIndex.next
        let peers = membership.members.filter { $0.id != identity.id }
        change(
            to: .leader(
                Leader(
                    termStart: next,
                    progress: peers.map { Progress(id: $0.id, nextIndex: next) })))
        append([Entry(index: next, term: term, payload: .noop)])
    }

    /// - Parameter reason: why a leader steps down; nil where only a candidate can.
    mutating func becomeFollower(term: Term, leader: NodeID?, because reason: StepDownReason?) {
        if term > self.term { setHardState(HardState(term: term)) }
        if case .leader(let former) = roleState { keepAcknowledgements(to: former) }
        if case .leader(let former) = roleState, let reason {
            pending.failedReads += former.reads.all
            pending.observations.append(.steppedDown(reason: reason))
            if let transfer = former.transfer {
                pending.observations.append(
                    .transferFinished(
                        to: transfer.target,
                        succeeded: reason == .transferred || leader == transfer.target))
            }
            leaderSilence = reason == .quorumLost ? settings.quorumTicks : 0
        }
        change(to: .follower(Follower(leader: leader)))
        resetElectionTimer()
    }

    /// The one place where the role and the known leader change, so that both are observed.
    private mutating func change(to role: Role) {
        let former = (name: roleState.name, leader: leader)
        roleState = role
        if role.name != former.name {
            pending.observations.append(.roleChanged(role.name, term: term))
        }
        if leader != former.leader {
            pending.observations.append(.leaderChanged(leader, term: term))
        }
    }
}
