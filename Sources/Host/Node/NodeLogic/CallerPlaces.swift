package import Raft

/// Where a node knows others to be: by what they said, or else by the membership. A copy, for
/// answers that are given beside the machine.
package struct CallerPlaces: Sendable {
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
}
