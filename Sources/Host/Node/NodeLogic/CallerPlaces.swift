package import Raft

/// What a node knows of others that ask it who it is: where they are, by what they said or else by the
/// membership, and what they acknowledged to it. A copy, for answers that are given beside the machine.
package struct CallerPlaces: Sendable {
    /// Of a leader's followers.
    let progress: [PeerProgress]
    /// What members acknowledged to this node where it led before.
    let acknowledgedBefore: [NodeIdentity: LogPosition]
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

    /// Nil if it is no member, or acknowledged nothing to this node in this run.
    package func acknowledged(by identity: NodeIdentity) -> LogPosition? {
        guard membership?[identity.id]?.incarnation == identity.incarnation else { return nil }
        let before = acknowledgedBefore[identity]
        guard let peer = progress.first(where: { $0.id == identity.id }),
            peer.acknowledged.index > .zero
        else { return before }
        // Since this node leads anew the member may not have come so far again.
        return before.map { peer.acknowledged.isUpToDate(with: $0) ? peer.acknowledged : $0 }
            ?? peer.acknowledged
    }
}
