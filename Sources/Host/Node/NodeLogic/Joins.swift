import Raft

/// What came of joins that this node granted as leader, since the start of the process.
package struct Joins: Equatable, Sendable {
    /// What was last proposed for the join whose turn it is.
    private struct Change: Equatable {
        var question: PeerQuestionID
        var removes: Bool
    }

    /// Nodes that became members, or members that have another address since.
    package private(set) var added = 0
    /// Nodes that were members already, as they asked.
    package private(set) var ignored = 0
    /// Of the added, those for which a member of their ID was removed before.
    package private(set) var replaced = 0
    private var change: Change?

    /// A join needs a change of the membership. It may need another one behind it.
    mutating func proposed(_ change: MembershipChange, for question: PeerQuestionID) {
        var removes = self.change?.question == question && self.change?.removes == true
        if case .remove = change { removes = true }
        self.change = Change(question: question, removes: removes)
    }

    /// The node is a member.
    mutating func granted(_ question: PeerQuestionID) {
        defer { self.change = nil }
        guard let change, change.question == question else {
            ignored += 1
            return
        }
        added += 1
        if change.removes { replaced += 1 }
    }
}
