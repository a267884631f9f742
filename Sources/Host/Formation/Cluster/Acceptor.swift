package import Raft

/// The acceptor of the synod: every candidate is one, whether it may become a member or not. What
/// `answer` changes in `state` must be durable before the answer leaves the node.
struct Acceptor: Sendable {
    let introduction: FormationIntroduction
    var state: AcceptorState

    /// Nil for what is no request, and for an acceptance that was never promised, which is meant for another
    /// incarnation, or of another value than was accepted in the ballot.
    mutating func answer(_ request: FormationMessage) -> FormationMessage? {
        if let chosen = state.chosen, request.isRequest {
            return .formed(chosen.cluster, chosen)
        }
        switch request {
        case .prepare(let ballot, let list, let sender):
            return answerPrepare(ballot, list, sender)
        case .accept(let ballot, let list, let value, _):
            return answerAccept(ballot, list, value)
        case .inquiry: return .unformed(holdsAcceptance: state.accepted != nil)
        case .chosen, .promise, .accepted, .outpaced, .formed, .unformed, .refused: return nil
        }
    }

    private mutating func answerPrepare(
        _ ballot: Ballot, _ list: CandidateList, _ sender: FormationIntroduction
    ) -> FormationMessage {
        if let refusal = refusal(of: sender, list) { return .refused(ballot, refusal) }
        state.counter = max(state.counter, ballot.counter)
        if let promised = state.promised, promised > ballot {
            return .outpaced(ballot, by: promised)
        }
        let promise = FormationMessage.Promise(
            ballot: ballot, acceptor: introduction, accepted: state.accepted, lists: state.lists)
        state.promise(ballot, for: list.withoutDrops)
        return .promise(promise)
    }

    private func refusal(of sender: FormationIntroduction, _ list: CandidateList)
        -> FormationRefusal?
    {
        let own = introduction
        if sender.identity.id == own.identity.id,
            sender.identity.incarnation != own.identity.incarnation
        {
            return .nodeIDTaken(own.identity.id, own.address, sender.address)
        }
        if own.expect != 0, own.expect != list.expect {
            return .expectDiffers(
                there: own.expect, here: list.expect, id: own.identity.id, address: own.address)
        }
        // The operator's word must have reached every node that the ballot is to count.
        guard list.dropped.allSatisfy(state.dropped.contains) else {
            return .notDropped(at: own.identity.id, own.address)
        }
        return state.canRecord(list) ? nil : .tooManyLists
    }

    private mutating func answerAccept(
        _ ballot: Ballot, _ list: CandidateList, _ value: BootstrapValue
    ) -> FormationMessage? {
        guard let promised = state.promised, promised >= ballot else { return nil }
        guard promised == ballot else { return .outpaced(ballot, by: promised) }
        if let accepted = state.accepted, accepted.ballot == ballot {
            // One proposer has one value in a ballot. Two processes with copies of one data directory may not.
            guard accepted.value == value else { return nil }
        } else {
            state.accept(value, in: ballot, for: list.withoutDrops)
        }
        return .accepted(ballot, by: introduction.identity.incarnation)
    }
}

extension FormationMessage {
    /// Whether an answer is expected.
    package var isRequest: Bool {
        switch self {
        case .prepare, .accept, .chosen, .inquiry: true
        case .promise, .accepted, .outpaced, .formed, .unformed, .refused: false
        }
    }

    /// What a member of a formed cluster says to every request, for as long as it lives: there is a
    /// cluster, join it. The value, while the node still has it, lets a member that has not heard
    /// of the bootstrap start as one.
    package static func answer(
        to request: FormationMessage, fromMemberOf cluster: ClusterID, value: BootstrapValue?
    ) -> FormationMessage? {
        request.isRequest ? .formed(cluster, value?.cluster == cluster ? value : nil) : nil
    }

    /// What a founder without a leader says to a node that answered its hello: the founding, if that
    /// names the node, which is in no cluster. The node may have no other way to hear of it: whoever
    /// told it did so in vain, and its list may name nobody any more who knows. Without it there may
    /// never be a quorum.
    package static func news(of founding: BootstrapValue, for node: CandidateFacts)
        -> FormationMessage?
    {
        node.cluster == nil && founding.names(node.introduction.identity) ? .chosen(founding) : nil
    }
}
