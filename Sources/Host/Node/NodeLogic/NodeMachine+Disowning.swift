import PeerProtocol
import Raft
import Replication
import Time

/// A data directory that is no member, though messages for the member of its ID reach it: it was put
/// back at the place of the one that replaced it. It follows the leader, which counts nothing that it
/// says; by itself it would never learn why it gets no further.
///
/// So the leader tells it, where it speaks from or else where the member is said to be. It does not take
/// the leader's word, for anybody may say such a thing: it asks whether it is a member, as one that lost
/// its leader does, and goes by that answer.
extension NodeMachine {
    /// A directory is told again after so long, and listens no more often.
    static var disowningPause: Duration { .seconds(5) }

    /// What came from this identity doesn't count.
    mutating func disown(_ identity: NodeIdentity) {
        guard let cluster, let raft = replicated?.raft, raft.isReadyLeader,
            // What is not committed yet may still be undone.
            raft.membershipIndex <= raft.commitIndex,
            let member = raft.membership[identity.id], member.incarnation != identity.incarnation
        else { return }
        let heard = identityWatch.places[identity.id]
        let spoken = heard?.incarnation == identity.incarnation ? heard?.address : nil
        guard let place = spoken ?? address(of: identity.id), place != options.address else {
            return
        }
        if let last = disownedAt[identity.id], now - last < Self.disowningPause { return }
        disownedAt[identity.id] = now
        troubles.note(
            .namesake, about: identity.id.rawValue,
            "the member is at \(member.address), another data directory speaks for it from \(place)",
            now: now)
        call(.disowned, .disowned(cluster), at: place, timeout: MembershipDesk.dialBackTime)
    }

    /// A leader says that this node's data directory is no member.
    mutating func disowned(by leader: NodeIdentity, of theirs: ClusterID) {
        guard theirs == cluster, exclusion == .none, let raft = replicated?.raft,
            raft.role != .leader, raft.membership.contains(leader.id) || raft.leader == leader.id
        else { return }
        let own = options.identity.id
        if let last = disownedAt[own], now - last < Self.disowningPause { return }
        disownedAt[own] = now
        say(
            .warning, "a leader does not count this node as a member: asking whether it is one",
            ["leader": leader.id.rawValue])
        rendezvous.isDoubted = true
    }
}
