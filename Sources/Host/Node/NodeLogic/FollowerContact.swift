import Raft

/// Which members a leader hears nothing of.
struct FollowerContact {
    /// Members that the leader has not heard for longer than a quorum may be silent.
    private(set) var silentMembers: [NodeID] = []
    /// How often one became such a member.
    private(set) var silences = 0

    /// - Parameters:
    ///   - progress: of a leader's followers; empty on a node that does not lead.
    ///   - limit: ticks of silence that count.
    ///   - busy: gets a snapshot, and answers nothing while it puts it in place.
    mutating func review(_ progress: [PeerProgress], limit: Int, busy: NodeID?) {
        let before = silentMembers
        silentMembers = progress.filter { peer in
            // Who has just answered again is back; one that is slow does not flap.
            let wasSilent = silentMembers.contains(peer.id)
            return peer.id != busy
                && (wasSilent
                    ? peer.ticksSinceAnswer > limit / 2 : peer.ticksSinceAnswer >= limit)
        }.map(\.id)
        silences += silentMembers.count { !before.contains($0) }
    }
}
