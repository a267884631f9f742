/// Messages: which ones count, and the rules of terms that hold for all of them.
extension Raft {
    package mutating func receive(_ message: Message) {
        if let reason = dropReason(of: message) {
            drop(message, reason)
        } else if message.term < term {
            answerLowerTerm(message)
        } else if !isIgnored(message) {
            if message.term > term { adoptTerm(of: message) }
            dispatch(message)
        }
    }

    /// A leader's messages count whoever it is: a quorum elected it, by votes that did check its
    /// incarnation, and this node's membership may be old. Votes and acknowledgements count only
    /// from the very data directory that the membership names.
    private func dropReason(of message: Message) -> DropReason? {
        guard message.cluster == cluster else { return .otherCluster }
        guard message.to == identity.id else { return .otherDestination }
        guard message.from.id != identity.id else { return .unknownIncarnation }
        let member = membership[message.from.id]
        let isOtherIncarnation = member.map { $0.incarnation != message.from.incarnation } ?? false
        switch message.body {
        case .voteRequest:
            // A candidate this node has not heard of may be a newer member (thesis §4.1).
            return isOtherIncarnation ? .unknownIncarnation : nil
        case .voteAnswer, .appendAnswer, .termIsBehind:
            return isOtherIncarnation ? .unknownIncarnation : member == nil ? .notMember : nil
        case .appendEntries(let append):
            return append.isContiguous ? nil : .malformed
        case .timeoutNow:
            return nil
        }
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
        pending.observations.append(.messageDropped(from: message.from.id, reason: reason))
    }
}

extension Message.AppendEntries {
    /// Each entry follows the one before it.
    fileprivate var isContiguous: Bool {
        var index = previous.index
        return entries.allSatisfy { entry in
            index = index.next
            return entry.index == index
        }
    }
}
