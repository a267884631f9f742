import PeerProtocol
import Raft
import Replication
import Time

/// What is wrong, looked at with each tick and said when it changes.
extension NodeMachine {
    /// Says what of the troubles is news.
    mutating func tellTroubles() {
        for change in troubles.takeChanges() { emit(.stateChanged(change)) }
    }

    mutating func reviewTroubles() {
        troubles.set(.logFull, isLogFull ? "this node takes no writes until there is room" : nil)
        troubles.set(
            .databaseFull, isDatabaseFull ? "what is committed is applied when there is room" : nil)
        let cause = isLogFull ? "its disk is full" : "a write takes too long"
        troubles.set(.logStalled, replicated?.isStorageStalled ?? false ? cause : nil)
        troubles.set(
            .standstill,
            appliesNothing && halt == nil
                ? "its database stands at entry \(appliedWhenBehind)" : nil)
        troubles.set(.applyHalted, haltText)
        reviewLoss()
        troubles.set(.noLeader, isLeaderless ? waitingFor : nil)
        reviewFollowers()
        if let clockLead { troubles.note(.clockAhead, about: "", clockLead, now: now) }
        troubles.expire(now: now)
        tellTroubles()
    }

    /// A leader was missed for longer than it takes to elect another, as a rule.
    private var isLeaderless: Bool {
        guard let raft = replicated?.raft, exclusion == .none, !shutdown.hasBegun,
            raft.leader == nil
        else { return false }
        return leaderlessSince.map { now - $0 >= options.electionPatience } ?? false
    }

    /// The clock of the log may be ahead of a node's by so many milliseconds: machines' clocks differ.
    package static var clockTolerance: Int64 { 10_000 }

    /// Leads of the log's clock that are told apart, in milliseconds. The lead itself is another at each look.
    private static let clockLeads: [(least: Int64, text: String)] = [
        (365 * 86_400_000, "a year"), (86_400_000, "a day"), (3_600_000, "an hour"),
        (60_000, "a minute"), (clockTolerance, "ten seconds"),
    ]

    /// By how much the log's clock is ahead, and what that means; nil: it is not.
    private var clockLead: String? {
        let (difference, isOver) = logClock.subtractingReportingOverflow(wallMilliseconds)
        let lead = isOver ? .max : difference
        guard let found = Self.clockLeads.first(where: { lead >= $0.least }) else { return nil }
        return
            "by more than \(found.text): a leader's clock was ahead when it took a write, or this node's is "
            + "behind. Until the leader's clock has come there CURRENT_TIMESTAMP stands still"
    }

    /// A leader says once that a follower is silent, be it dead, hung or cut off, and once that it
    /// is back.
    private mutating func reviewFollowers() {
        let leads = replicated?.raft.role == .leader
        followerContact.review(
            leads ? replicated?.raft.progress ?? [] : [], limit: options.raft.quorumTicks,
            busy: snapshots.receiver)
        let silent = followerContact.silentMembers.map { id in
            (subject: id.rawValue, reason: "at \(address(of: id)?.rawValue ?? "unknown address")")
        }
        // Of a former leader's followers, and of former members, nothing is known any more.
        let membership = leads ? replicated?.raft.membership : nil
        troubles.set(.followerSilent, silent) { id in
            membership?.contains(NodeID(id)) ?? false
        }
    }

    // MARK: Voters

    /// Notes which members spoke.
    mutating func heard(_ messages: [Message]) {
        for message in messages {
            guard replicated?.raft.membership.contains(message.from.id) ?? false else { continue }
            spokeAt[message.from.id] = now
        }
    }

    /// A voter that was not heard for longer than candidates and their voters are silent.
    func isSilent(_ voter: Member) -> Bool {
        isSilent(voter, for: options.electionPatience * 2)
    }

    func isSilent(_ voter: Member, for time: Duration) -> Bool {
        guard voter.id != options.identity.id else { return false }
        return spokeAt[voter.id].map { now - $0 >= time } ?? true
    }

    // MARK: Peers that break the protocol

    mutating func refused(_ peer: NodeIdentity, _ reason: DropReason) {
        let member = replicated?.raft.membership[peer.id]
        guard reason == .contradictsCommitted, member?.incarnation == peer.incarnation else {
            return brokeProtocol(peer, "message refused: \(reason.rawValue)")
        }
        // No hostile act, as a rule: the others were restored from older copies, and went on.
        troubles.note(.historyDiffers, about: peer.id.rawValue, Self.historyRemedy, now: now)
        emit(.refusePeer(peer, at: nil, cause: "\(reason.rawValue): \(Self.historyRemedy)"))
    }

    /// What the operator of a node that holds more than its cluster can do.
    static var historyRemedy: String {
        "the cluster went back to an older state, and went on from there. If that is wanted, stop this "
            + "node, move its data directory away and let it join again"
    }

    /// Nothing more is taken from the connections of who sent this, and the operator is told.
    /// - Parameter cause: what is wrong with what it sent.
    mutating func brokeProtocol(_ peer: NodeIdentity, _ cause: String) {
        troubles.note(.peerBrokeProtocol, about: peer.id.rawValue, cause, now: now)
        emit(.refusePeer(peer, at: nil, cause: cause))
    }

    /// The same of an answer to a question of this node: its connection is over already.
    mutating func answeredFalsely(_ place: PeerAddress, _ cause: String) {
        troubles.note(.peerBrokeProtocol, about: place.rawValue, cause, now: now)
    }

    mutating func metOtherCluster(_ subject: String, _ theirs: ClusterID?) {
        let reason = theirs.map { "it is in \($0), this node in " } ?? "it is not in "
        troubles.note(
            .otherCluster, about: subject, reason + (cluster.map { "\($0)" } ?? "none"), now: now)
    }
}
