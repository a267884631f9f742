/// Something that is wrong with a node, or that it sees wrong with another, for as long as it lasts.
/// The log says when it begins and when it is over, `/status` shows it meanwhile, and `/readyz` refuses
/// for the same reason where it keeps the node from serving.
package struct NodeTrouble: Equatable, Sendable {
    /// What is wrong.
    package enum Kind: Int, CaseIterable, Sendable {
        case noLeader
        case removed
        case logFull
        case databaseFull
        case logStalled
        case standstill
        case applyHalted
        case termsUsedUp
        case entriesLost
        case historyDiffers
        case followerSilent
        case followerLostEntries
        case peerBrokeProtocol
        case otherCluster
        case directoryInUseTwice
        case namesake
        case quarantined
        case nodesDiffer
        case memberDiffers
        case scrubFailed
        case otherEngine
        case clockAhead
    }

    package var kind: Kind
    /// Which of several, such as a node's ID; empty if there is only one.
    package var subject: String
    /// Why, or what to do; a change of it is said.
    package var reason: String

    package init(_ kind: Kind, about subject: String = "", _ reason: String) {
        self.kind = kind
        self.subject = subject
        self.reason = reason
    }
}

extension NodeTrouble.Kind {
    /// In the words of the log.
    package var text: StaticString {
        switch self {
        case .noLeader: "no leader is known"
        case .removed: "this node was removed from the cluster"
        case .logFull: "the disk of the log is full"
        case .databaseFull: "the disk of the database is full"
        case .logStalled: "the log can't be written: this node does not lead until it can"
        case .standstill: "this node makes no progress"
        case .applyHalted: "this node stopped applying its log"
        case .termsUsedUp:
            "the terms of this epoch are used up: recover the cluster by raft/peers.json"
        case .entriesLost: "this node's data are older than what the cluster saw of it"
        case .historyDiffers:
            "this node holds committed entries that a leader of its cluster denies"
        case .followerSilent: "follower is silent"
        case .followerLostEntries:
            "follower lost entries that it had acknowledged: replace its disk"
        case .peerBrokeProtocol: "a peer is broken or hostile: it was refused"
        case .otherCluster: "a node belongs to another cluster"
        case .directoryInUseTwice: "a data directory is in use twice: stop the copy"
        case .namesake: "two nodes with one ID"
        case .quarantined: "this node's database is not to be trusted: it serves nothing"
        case .nodesDiffer: "nodes differ, and no majority says which of them is right"
        case .memberDiffers: "a member's database differs from that of a majority"
        case .scrubFailed: "SQLite finds this node's database damaged"
        case .otherEngine:
            "a member has another SQLite library: floating-point numbers and plans may differ"
        case .clockAhead: "the clock of the log is ahead of this node's"
        }
    }

    /// A promise was broken, or is about to be; all else is a cluster that works less well.
    package var isError: Bool {
        switch self {
        case .termsUsedUp, .entriesLost, .historyDiffers, .followerLostEntries, .peerBrokeProtocol,
            .directoryInUseTwice, .applyHalted, .quarantined, .nodesDiffer, .memberDiffers,
            .scrubFailed:
            true
        case .noLeader, .removed, .logFull, .databaseFull, .logStalled, .standstill,
            .followerSilent, .otherCluster, .namesake, .otherEngine, .clockAhead:
            false
        }
    }
}

/// A trouble began, became another, or is over.
package struct NodeStateChange: Equatable, Sendable {
    /// What became of it.
    package enum Change: Equatable, Sendable {
        /// It began, or its reason is another.
        case troubled(reason: String)
        case over
        /// This node can't tell any more, or nobody asks: no line is due.
        case forgotten
    }

    package var kind: NodeTrouble.Kind
    /// As the trouble has it.
    package var subject: String
    package var change: Change
}
