package import PeerProtocol
package import Raft
import Replication

/// What other members saw of this node before it started, so that a disk that went back to an older
/// state keeps its promises (`RaftMachine.heard`). They tell with the hello that is asked for anyway;
/// and should no leader have answered then, the one that this node hears is asked until it does.
extension NodeMachine {
    /// A hello that came before this node takes part.
    mutating func note(_ hello: Hello) {
        guard let (restored, cluster, _) = beginning, hello.cluster == cluster,
            isWitness(hello, in: restored.membership)
        else { return }
        identityWatch.note(believed(hello, in: restored.membership))
    }

    /// Who starts together with this node asks it once, and perhaps before it takes part: then its disk answers.
    func tell(of restored: RestoredState, in hello: inout Hello) {
        hello.term = restored.hardState.term
        hello.commitIndex = restored.commitIndex
        if restored.commitIndex > .zero, restored.membership.isVoter(options.identity.id) {
            hello.committed = restored.committedPosition
        }
    }

    /// The leader is asked where it speaks from and where it is known: the log of a node that went back to
    /// an older state names the places, and the data directories, of that time.
    mutating func askForTestimony() {
        guard identityWatch.awaitsLeader, let raft = replicated?.raft, let leader = raft.leader,
            leader != options.identity.id
        else { return }
        let member = raft.membership[leader].flatMap {
            identityWatch.place(of: NodeIdentity(member: $0))
        }
        let spoken = member ?? identityWatch.places[leader]?.address
        var places: [PeerAddress] = []
        for place in [spoken, address(of: leader)].compactMap(\.self) where !places.contains(place)
        {
            places.append(place)
        }
        guard identityWatch.mustAsk(leader, at: places, now: now) else { return }
        for place in places {
            call(.testimony, .hello, at: place, timeout: MembershipDesk.dialBackTime)
        }
    }

    mutating func testified(_ result: PeerResult) {
        guard case .success(.hello(let hello)) = result, hello.cluster == cluster,
            // While a snapshot is put in place the core takes nothing in, and the leader is asked again.
            replicated?.isReplacing == false, let raft = replicated?.raft,
            isWitness(hello, in: raft.membership) || isUnnamedLeader(hello, raft)
        else { return }
        // Where the leader was once there may be another, or a copy of its directory.
        if hello.leader?.id == hello.identity.id { identityWatch.leaderTestified() }
        heard(RaftMachine.Testimony(believed(hello, in: raft.membership)), of: hello.identity)
    }

    /// What a member that can't lead knows to be committed binds nobody: where all voters were restored from older
    /// copies, and a read replica was not, they go on without it.
    private func believed(_ hello: Hello, in membership: Membership) -> Hello {
        guard let member = membership[hello.identity.id], member.suffrage != .voter,
            member.incarnation == hello.identity.incarnation
        else { return hello }
        var hello = hello
        hello.committed = nil
        return hello
    }

    /// Others than members have nothing to say of this one.
    private func isWitness(_ hello: Hello, in membership: Membership) -> Bool {
        hello.identity.id != options.identity.id
            && membership[hello.identity.id]?.incarnation == hello.identity.incarnation
    }

    /// The log of a node that went back to an older state may not name the present leader, or know another data
    /// directory by its ID, which that one replaced. Whom its messages move this node to follow may say what this node
    /// promised, too.
    private func isUnnamedLeader(_ hello: Hello, _ raft: RaftMachine) -> Bool {
        let identity = hello.identity
        return identity.id != options.identity.id && raft.leader == identity.id
            && raft.membership[identity.id]?.incarnation != identity.incarnation
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
            acknowledged: hello.callerAcknowledged, committed: hello.committed)
    }
}

extension Hello {
    /// Adds what is known of who asks.
    package mutating func address(_ caller: NodeIdentity, by places: CallerPlaces) {
        callerAddress = places.address(of: caller)
        callerAcknowledged = places.acknowledged(by: caller)
    }
}
