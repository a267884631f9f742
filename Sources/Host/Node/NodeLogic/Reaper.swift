import Raft

/// For how long a leader bears a member's silence before it removes it; nil: for ever.
package struct ReapTimeouts: Equatable, Sendable {
    /// Of voters, and of learners: they are to become voters.
    package var voter: Duration?
    /// Of read replicas. Nil: they are kept for ever, as are voters without a time.
    package var nonvoter: Duration?

    package init(voter: Duration? = nil, nonvoter: Duration? = nil) {
        self.voter = voter
        self.nonvoter = nonvoter
    }

    func limit(for suffrage: Suffrage) -> Duration? {
        suffrage == .nonvoter ? nonvoter : voter
    }
}

/// Says which silent members are to be removed, and when. Pure: the leader's core asks it and
/// queues the removals. A member's silence counts from its last answer to this leader, or from the
/// moment this leader began to lead or took the member in: each leader's clock starts anew.
struct Reaper {
    let timeouts: ReapTimeouts

    /// A member that will be removed unless it answers.
    struct Due: Equatable {
        var id: NodeID
        var silence: Duration
        var limit: Duration

        var isOver: Bool { silence > limit }
        var remaining: Duration { max(.zero, limit - silence) }
    }

    /// All members but the leader itself that were silent for longer than `patience` and have a
    /// limit, in the order of their IDs.
    /// - Parameters:
    ///   - tick: how long one tick of `progress` is.
    ///   - busy: gets a snapshot at the moment, and answers nothing while it puts it in place.
    func due(
        _ membership: Membership, _ progress: [PeerProgress], tick: Duration, patience: Duration,
        busy: NodeID?
    ) -> [Due] {
        progress.compactMap { peer in
            let silence = tick * peer.ticksSinceAnswer
            guard silence > patience, peer.id != busy, let member = membership[peer.id],
                let limit = timeouts.limit(for: member.suffrage)
            else { return nil }
            return Due(id: peer.id, silence: silence, limit: limit)
        }
    }
}

/// Who of the members answers the leader, for the question what a removal would leave.
struct Reachability {
    let leader: NodeID
    /// Other members that answered within the time in which a leader must hear a quorum.
    let answering: [NodeID]

    init(leader: NodeID, _ progress: [PeerProgress], quorumTicks: Int) {
        self.leader = leader
        answering = progress.filter { $0.ticksSinceAnswer < quorumTicks }.map(\.id)
    }

    /// The silent voters among those that would remain without `id`, when the others are fewer
    /// than a quorum; nil when a quorum would remain, or `id` is no voter. Such a removal could
    /// not even be committed, and the cluster would stand still.
    func quorumLost(without id: NodeID, in membership: Membership) -> [NodeID]? {
        guard membership.isVoter(id) else { return nil }
        let rest = membership.removing(id)
        let silent = rest.voters.map(\.id).filter { $0 != leader && !answering.contains($0) }
        return rest.voters.count - silent.count < rest.quorum ? silent : nil
    }
}
