import Raft

/// Which members a leader hears nothing of: their silence is said once, and so is its end.
struct FollowerContact {
    enum Change: Equatable {
        case lost(NodeID)
        case back(NodeID)
    }

    private var silent: [NodeID] = []

    /// Members that the leader has not heard for longer than a quorum may be silent.
    var silentMembers: [NodeID] { silent }

    /// - Parameters:
    ///   - progress: of a leader's followers; empty on a node that does not lead.
    ///   - limit: ticks of silence that count.
    ///   - busy: gets a snapshot, and answers nothing while it puts it in place.
    mutating func review(
        _ progress: [PeerProgress], limit: Int, busy: NodeID?
    ) -> [Change] {
        var changes: [Change] = []
        var now: [NodeID] = []
        for peer in progress {
            let wasSilent = silent.contains(peer.id)
            // Who has just answered again is back; one that is slow does not flap.
            let isSilent =
                peer.id != busy
                && (wasSilent
                    ? peer.ticksSinceAnswer > limit / 2 : peer.ticksSinceAnswer >= limit)
            if isSilent { now.append(peer.id) }
            if isSilent, !wasSilent { changes.append(.lost(peer.id)) }
            if !isSilent, wasSilent { changes.append(.back(peer.id)) }
        }
        silent = now
        return changes
    }
}
