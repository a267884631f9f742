/// What a member may do.
package enum Suffrage: UInt8, Sendable, CustomStringConvertible {
    case voter = 0
    /// Receives the log without a vote and becomes a voter once it is caught up.
    case learner = 1
    /// Receives the log without a vote for good: a read replica.
    case nonvoter = 2

    package var description: String {
        switch self {
        case .voter: "voter"
        case .learner: "learner"
        case .nonvoter: "nonvoter"
        }
    }
}

/// A node that belongs to the cluster.
package struct Member: Hashable, Sendable {
    /// Unique among the members.
    package var id: NodeID
    /// Of the data directory with which it was admitted.
    package var incarnation: Incarnation
    /// A hint: the node may have moved since.
    package var address: PeerAddress
    /// What it counts for.
    package var suffrage: Suffrage

    package init(
        id: NodeID, incarnation: Incarnation, address: PeerAddress, suffrage: Suffrage
    ) {
        self.id = id
        self.incarnation = incarnation
        self.address = address
        self.suffrage = suffrage
    }
}

/// The members of the cluster, sorted by ID. A node uses the latest membership in its log, whether
/// committed or not (thesis §4.1).
package struct Membership: Hashable, Sendable {
    /// In the order of their IDs.
    package private(set) var members: [Member]

    /// - Parameter members: in any order, with an ID of its own each.
    package init(_ members: [Member] = []) {
        self.members = members.sorted { $0.id < $1.id }
    }

    /// The member of that ID; nil if there is none.
    package subscript(id: NodeID) -> Member? { members.first { $0.id == id } }

    /// Those that count in quorums, in the order of their IDs.
    package var voters: [Member] { members.filter { $0.suffrage == .voter } }

    /// Whether a member has the ID, whatever its suffrage.
    package func contains(_ id: NodeID) -> Bool { self[id] != nil }
    /// Whether a member has the ID and counts in quorums.
    package func isVoter(_ id: NodeID) -> Bool { self[id]?.suffrage == .voter }

    /// More than half of the voters.
    package var quorum: Int { members.count { $0.suffrage == .voter } / 2 + 1 }

    /// Adds a member or replaces the one with its ID.
    package func setting(_ member: Member) -> Membership {
        Membership(members.filter { $0.id != member.id } + [member])
    }

    /// The same without the member of that ID, if there is one.
    package func removing(_ id: NodeID) -> Membership {
        Membership(members.filter { $0.id != id })
    }
}

/// One change of the membership. At most one member's vote changes at a time, so that every two
/// quorums of the old and the new membership meet (thesis §4.1).
package enum MembershipChange: Equatable, Sendable {
    /// A new member; a voter-to-be is added as a learner and promoted when it is caught up.
    case add(Member)
    case promote(NodeID)
    case remove(NodeID)
    /// The member's address hint.
    case move(NodeID, to: PeerAddress)
}
