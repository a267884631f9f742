package import Raft

/// What a node knows of others that ask it who it is: where they are, by what they said or else by the
/// membership, and what they acknowledged to it. A copy, for answers that are given beside the machine.
package struct CallerPlaces: Sendable {
    /// Of a leader's followers.
    let progress: [PeerProgress]
    let heard: [NodeID: IdentityWatch.Place]
    let membership: Membership?

    /// Nil if nothing is known of this very identity.
    package func address(of identity: NodeIdentity) -> PeerAddress? {
        if let place = heard[identity.id], place.incarnation == identity.incarnation {
            return place.address
        }
        guard let member = membership?[identity.id], member.incarnation == identity.incarnation
        else { return nil }
        return member.address
    }

    /// Nil if it is no member, or this node does not lead.
    package func acknowledged(by identity: NodeIdentity) -> LogPosition? {
        guard membership?[identity.id]?.incarnation == identity.incarnation,
            let peer = progress.first(where: { $0.id == identity.id }),
            peer.acknowledged.index > .zero
        else { return nil }
        return peer.acknowledged
    }
}
