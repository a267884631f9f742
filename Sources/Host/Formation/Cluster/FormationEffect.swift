package import Raft

/// Names who asked, so that the shell can hand over the answer.
package struct FormationRequestID: Hashable, Sendable {
    /// Given by the shell; unique within its run.
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// Where a message of a formation came from.
package enum FormationMessageSource: Hashable, Sendable {
    case request(FormationRequestID)
    /// An answer, from the address that was asked.
    case answer(from: PeerAddress)
}

/// Why a message of a formation has no effect: its sender is broken or hostile.
package enum FormationBreach: Hashable, Sendable, CustomStringConvertible {
    /// Its ballot is further ahead than a message may move this node's counter
    /// (`FormationLimits.ballotReach`).
    case ballotTooFar(Ballot, own: UInt64)

    package var description: String {
        switch self {
        case .ballotTooFar(let ballot, let own):
            "ballot \(ballot) is too far ahead of \(own), the highest this node has seen: the peer "
                + "is broken or hostile; see who reaches the Raft port"
        }
    }
}

/// What the shell of a formation must do, in order. It may do slow things beside each other, except
/// that writes reach the disk in the order of their tickets.
package enum FormationEffect: Equatable, Sendable {
    /// Ask who is there; report `helloAnswered` or `unreachable`.
    case sendHello(PeerAddress)
    /// Ask; report the answer as `answered`, or `unreachable`.
    case send(FormationMessage, to: PeerAddress)
    case answer(FormationMessage, to: FormationRequestID)
    /// Replace the stored `AcceptorState` by these bytes, durably; report `persisted`.
    case persist([UInt8], PersistTicket)
    /// Ask the node at the address to make this node a member; report `joined`, `joinRefused` or
    /// `unreachable`.
    case attemptJoin(via: PeerAddress)
    /// The bootstrap is agreed on and names this node: write cluster ID and membership durably,
    /// start Raft, and campaign at once if asked to. Last effect.
    case start(BootstrapValue, campaign: Bool)
    /// The cluster took this node in. Last effect.
    case joined(ClusterID)
    /// What the formation is waiting for now. Said once per change.
    case waiting(String)
    /// Another node and this one contradict each other; the other does not count. Said once.
    case refused(FormationRefusal)
    /// A message that no candidate sends that keeps to the protocol. Nothing of it was taken, and a
    /// request gets no answer of the machine's: fail it, close the connection that brought it, and
    /// say so at the level of an error.
    case messageRefused(FormationMessageSource, FormationBreach)
    /// A contradiction that involves this node has lasted: end the process. Last effect.
    case fatal(FormationRefusal)
    /// No cluster within the limit: end the process. Last effect.
    case gaveUp(String)
}

/// What a node said about itself in its answer to a hello.
package struct CandidateFacts: Equatable, Sendable {
    /// Who and where it is, and what it expects.
    package var introduction: FormationIntroduction
    /// Nil while it is in no cluster.
    package var cluster: ClusterID?
    /// The leader's advertised Raft address, when it knows one.
    package var leader: PeerAddress?

    package init(introduction: FormationIntroduction, cluster: ClusterID?, leader: PeerAddress?) {
        self.introduction = introduction
        self.cluster = cluster
        self.leader = leader
    }
}
