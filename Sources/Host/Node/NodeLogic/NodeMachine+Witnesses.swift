package import PeerProtocol
package import Raft
import Replication

/// What other members saw of this node before it started, so that a disk that went back to an older
/// state keeps its promises (`RaftMachine.heard`). They tell with the hello that is asked for anyway;
/// and the first leader that this node hears is asked, should it not have answered then.
extension NodeMachine {
    /// A hello that came before this node takes part.
    mutating func note(_ hello: Hello) {
        guard let (restored, cluster) = beginning, hello.cluster == cluster,
            isWitness(hello, in: restored.membership)
        else { return }
        identityWatch.note(hello)
    }

    /// A leader that has not testified is asked, once in a run.
    mutating func askForTestimony(of leader: NodeID) {
        guard leader != options.identity.id, let place = address(of: leader),
            identityWatch.mustAsk(leader)
        else { return }
        call(.testimony, .hello, at: place, timeout: MembershipDesk.dialBackTime)
    }

    mutating func testified(_ result: PeerResult) {
        guard case .success(.hello(let hello)) = result, hello.cluster == cluster,
            let raft = replicated?.raft, isWitness(hello, in: raft.membership)
        else { return }
        heard(RaftMachine.Testimony(hello), of: hello.identity)
    }

    /// Others than members have nothing to say of this one.
    private func isWitness(_ hello: Hello, in membership: Membership) -> Bool {
        hello.identity.id != options.identity.id
            && membership[hello.identity.id]?.incarnation == hello.identity.incarnation
    }

    mutating func heard(_ testimony: RaftMachine.Testimony, of witness: NodeIdentity) {
        let refusal = replicated?.heard(testimony)
        // At once: it may have caught up before the next tick, and the disk is no better for that.
        reviewLoss()
        guard let breach = refusal else { return }
        troubles.note(
            .peerBrokeProtocol, about: witness.id.rawValue, "hello refused: \(breach.rawValue)",
            now: now)
    }

    mutating func reviewLoss() {
        troubles.set(
            .entriesLost,
            loss.map { "\($0): it neither leads nor votes for who holds less until it caught up" })
    }

    /// Of what this node lacks of what it acknowledged; nil if it lacks nothing.
    var loss: String? {
        guard let raft = replicated?.raft, let missing = raft.missing else { return nil }
        return "it acknowledged entry \(missing.index) of term \(missing.term) and holds "
            + "\(raft.lastPosition.index) of term \(raft.lastPosition.term)"
    }
}

extension RaftMachine.Testimony {
    init(_ hello: Hello) {
        self.init(
            term: hello.term, hasLeader: hello.leader != nil,
            acknowledged: hello.callerAcknowledged)
    }
}

extension Hello {
    /// Adds what is known of who asks.
    package mutating func address(_ caller: NodeIdentity, by places: CallerPlaces) {
        callerAddress = places.address(of: caller)
        callerAcknowledged = places.acknowledged(by: caller)
    }
}
