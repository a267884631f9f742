/// What a node is at the moment, with the data that only this role has.
enum Role: Sendable {
    case follower(Follower)
    case preCandidate(Campaign)
    case candidate(Campaign)
    case leader(Leader)

    var name: RoleName {
        switch self {
        case .follower: .follower
        case .preCandidate: .preCandidate
        case .candidate: .candidate
        case .leader: .leader
        }
    }
}

struct Follower: Sendable {
    var leader: NodeID?
}

/// Answers to the vote requests of one campaign.
struct Campaign: Sendable {
    private(set) var granted: [NodeID] = []
    private(set) var refused: [NodeID] = []

    mutating func record(_ voter: NodeID, granted isGranted: Bool) {
        guard !granted.contains(voter) && !refused.contains(voter) else { return }
        if isGranted { granted.append(voter) } else { refused.append(voter) }
    }

    /// - Parameter needed: how many of the voters.
    func isWon(in membership: Membership, needed: Int) -> Bool {
        let votes = membership.voters.count { granted.contains($0.id) }
        return votes > 0 && votes >= needed
    }

    func isLost(in membership: Membership, needed: Int) -> Bool {
        let voters = membership.voters
        return voters.count - voters.count { refused.contains($0.id) } < needed
    }
}

struct Leader: Sendable {
    /// The first entry of its own term. Until that is committed, the leader doesn't know which
    /// entries are (thesis §6.4): no reads, no membership changes.
    let termStart: LogIndex
    /// The other members, sorted by ID.
    var progress: [Progress]
    var recentEnds = RecentEnds()
    var heartbeatElapsed = 0
    var heartbeatDue = false
    var reads = ReadQueue()
    var transfer: Transfer?
    /// Its own log can't be written: whom it has asked to take over.
    var handOver: HandOver?

    func position(of peer: NodeID) -> Int? { progress.firstIndex { $0.id == peer } }

    subscript(peer: NodeID) -> Progress? { progress.first { $0.id == peer } }
}

/// Where a leader's log ended a while ago: whoever holds all through there lacks no more than what was appended
/// since.
struct RecentEnds: Sendable {
    /// As of one to two periods ago; zero until the leader has led for two.
    private(set) var old = LogIndex.zero
    private var recent = LogIndex.zero
    private var elapsed = 0

    /// - Parameter period: in ticks.
    mutating func tick(_ end: LogIndex, period: Int) {
        elapsed += 1
        guard elapsed >= period else { return }
        (old, recent, elapsed) = (recent, end, 0)
    }
}

/// A stalled leader's attempts to hand over.
struct HandOver: Sendable {
    /// Those that did not take the leadership within an election timeout.
    var tried: [NodeID] = []
}

/// Leadership on its way to another voter (thesis §3.10).
struct Transfer: Sendable {
    let target: NodeID
    var elapsed = 0
    var isTargetAsked = false
}
