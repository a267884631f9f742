/// Messages: which ones count, and the rules of terms that hold for all of them.
extension RaftMachine {
    /// What a message breaks is found before anything of it is taken: a refused one changes nothing
    /// that is durable, here or later.
    package mutating func receive(_ message: Message) {
        if let reason = dropReason(of: message) ?? breach(of: message) {
            drop(message, reason)
        } else if message.term < term {
            answerLowerTerm(message)
        } else if !isIgnored(message) {
            if message.term > term { adoptTerm(of: message) }
            dispatch(message)
        }
    }

    /// A leader's messages count whoever it is: a quorum elected it, and this node's membership may be
    /// old. Votes and acknowledgements count only from the very data directory that the membership names.
    private func dropReason(of message: Message) -> DropReason? {
        guard message.cluster == cluster else { return .otherCluster }
        guard message.to == identity.id else { return .otherDestination }
        guard message.from.id != identity.id else { return .unknownIncarnation }
        let member = membership[message.from.id]
        let isOtherIncarnation = member.map { $0.incarnation != message.from.incarnation } ?? false
        switch message.body {
        case .voteRequest(let request):
            // A candidate this node has not heard of may be a newer member (thesis §4.1); so may a data directory
            // that took the place of the one this node knows, if it holds entries that this node lacks.
            let holdsNothingNew = log.lastPosition.isUpToDate(with: request.lastLog)
            return isOtherIncarnation && holdsNothingNew ? .unknownIncarnation : nil
        case .voteAnswer, .appendAnswer, .termIsBehind:
            return isOtherIncarnation ? .unknownIncarnation : member == nil ? .notMember : nil
        case .appendEntries, .timeoutNow:
            return nil
        }
    }

    /// What no member sends that keeps to the protocol.
    private func breach(of message: Message) -> DropReason? {
        guard message.isWellFormed else { return .malformed }
        guard message.term >= term else { return nil }
        switch message.body {
        case .appendEntries(let append):
            return termBreach(message.term, isFromLeader: true)
                ?? breach(of: append, in: message.term, from: message.from.id)
        case .appendAnswer(let answer) where message.term == term:
            return breach(of: answer)
        case .voteRequest, .voteAnswer, .appendAnswer, .timeoutNow, .termIsBehind:
            return termBreach(message.term, isFromLeader: false)
        }
    }

    /// Whether a peer may move this node to the term (`Reach`).
    /// - Parameter isFromLeader: the peer says that it leads in that term.
    func termBreach(_ other: Term, isFromLeader: Bool) -> DropReason? {
        guard other > term else { return nil }
        if isFromLeader, isWithoutHistory {
            let isNear =
                other.epoch < UInt64(Reach.firstTerm) && other.number < Reach.firstTerm
            return isNear ? nil : .termTooFar
        }
        guard other.epoch == term.epoch else { return .otherEpoch }
        return other.rawValue - term.rawValue <= termAllowance.left ? nil : .termTooFar
    }

    /// A new member that holds nothing yet begins where its leader stands, in whatever epoch.
    private var isWithoutHistory: Bool {
        term == .zero && log.lastIndex == .zero && !isVoter(in: membership)
    }

    private func breach(of answer: Message.AppendAnswer) -> DropReason? {
        guard case .leader(let leader) = roleState else { return nil }
        guard answer.round <= leader.reads.round else { return .acknowledgesUnknown }
        if case .matched(let through) = answer.result, through > log.lastIndex {
            return .acknowledgesUnknown
        }
        return nil
    }

    /// Vote requests while a leader works, unless it asked for the election itself: they come from
    /// a node that was cut off or removed (thesis §4.2.3).
    private func isIgnored(_ message: Message) -> Bool {
        guard case .voteRequest(let request) = message.body else { return false }
        return !request.isTransfer && hasLiveLeader
    }

    /// With PreVote and CheckQuorum a node of a higher term can be left behind: it ignores the
    /// leader's messages, and the leader never hears of its term. So it says so.
    private mutating func answerLowerTerm(_ message: Message) {
        switch message.body {
        case .voteRequest(let request):
            let answer = Message.VoteAnswer(isPreVote: request.isPreVote, granted: false)
            send(.voteAnswer(answer), to: message.from.id)
        case .appendEntries, .timeoutNow:
            send(.termIsBehind, to: message.from.id)
        case .voteAnswer, .appendAnswer, .termIsBehind:
            drop(message, .staleTerm)
        }
    }

    private mutating func adoptTerm(of message: Message) {
        // Terms of the epoch; a first term from the leader costs nothing, it comes once.
        if message.term.epoch == term.epoch {
            termAllowance.spend(movedTerms(by: message))
        }
        switch message.body {
        case .voteRequest(let request) where request.isPreVote: break
        // Granted under the term that the pre-vote asked about, which nobody has yet.
        case .voteAnswer(let answer) where answer.isPreVote && answer.granted: break
        case .appendEntries, .timeoutNow:
            becomeFollower(term: message.term, leader: message.from.id, because: .higherTerm)
        case .voteRequest(let request) where request.isTransfer:
            let isFromTarget = transferTarget == message.from.id
            becomeFollower(
                term: message.term, leader: nil,
                because: isFromTarget ? .transferred : .higherTerm)
        case .voteRequest, .voteAnswer, .appendAnswer, .termIsBehind:
            becomeFollower(term: message.term, leader: nil, because: .higherTerm)
        }
    }

    /// Pre-votes ask about a term that nobody has: they move nothing.
    private func movedTerms(by message: Message) -> UInt64 {
        switch message.body {
        case .voteRequest(let request) where request.isPreVote: 0
        case .voteAnswer(let answer) where answer.isPreVote && answer.granted: 0
        default: message.term.rawValue - term.rawValue
        }
    }

    private mutating func dispatch(_ message: Message) {
        switch message.body {
        case .voteRequest(let request): answer(request, message)
        case .voteAnswer(let answer): count(answer, message)
        case .appendEntries(let append): receive(append, from: message.from.id)
        case .appendAnswer(let answer): receive(answer, from: message.from.id)
        case .timeoutNow: receiveTimeoutNow(from: message.from.id)
        case .termIsBehind: break
        }
    }

    private mutating func drop(_ message: Message, _ reason: DropReason) {
        let from = message.from
        pending.observations.append(
            reason.isBreach
                ? .messageRefused(from: from, reason: reason)
                : .messageDropped(from: from, reason: reason))
    }
}
