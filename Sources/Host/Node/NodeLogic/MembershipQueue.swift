import PeerProtocol
import Raft
import Time

/// Changes of the membership that wait for their turn: the consensus core takes one at a time. A
/// pure queue; the machine proposes what `next` names.
struct MembershipQueue {
    enum Operation {
        /// Answered with the membership once the joiner is a member. `replaced`: who was the member of
        /// its ID when it asked; nil: nobody.
        case add(JoinRequest, PeerQuestionID, replaced: Member?)
        /// Nil: the change is on its way, and nobody waits for it any more.
        case remove(NodeID, PendingRequest?)
        /// The leader's own wish: the member was silent for too long.
        case reap(NodeID)
    }

    private struct Waiting {
        var operation: Operation
        var deadline: MonotonicTime?
    }

    private var waiting: [Waiting] = []
    /// The first operation's change is in the log.
    private(set) var isProposed = false

    var isEmpty: Bool { waiting.isEmpty }
    var count: Int { waiting.count }

    /// Joins that may wait, and as many again of members, which have moved.
    static var mostJoins: Int { 256 }

    /// Each answer to a join goes over all that wait.
    func hasRoomForJoin(ofMember isMember: Bool) -> Bool {
        let joins = waiting.count { if case .add = $0.operation { true } else { false } }
        return joins < (isMember ? 2 : 1) * Self.mostJoins
    }

    mutating func append(_ operation: Operation, deadline: MonotonicTime? = nil) {
        waiting.append(Waiting(operation: operation, deadline: deadline))
    }

    /// Whether a removal of the member, by whomever, waits or is under way.
    func isRemoving(_ id: NodeID) -> Bool {
        waiting.contains {
            switch $0.operation {
            case .remove(let other, _), .reap(let other): other == id
            case .add: false
            }
        }
    }

    /// The operation whose turn it is, unless its change is already on its way.
    var next: Operation? { isProposed ? nil : waiting.first?.operation }

    mutating func proposed() { isProposed = true }

    /// The change was committed, or did not come to be: the operation may need another one, or be
    /// tried again until its time is up.
    mutating func settled() { isProposed = false }

    mutating func finishFirst() {
        isProposed = false
        if !waiting.isEmpty { waiting.removeFirst() }
    }

    /// Takes out those whose time is up, or all when this node does not lead any more. What was not begun by then
    /// never is. A removal that is on its way stays as one that nobody waits for; for others that are, it is waited.
    mutating func expired(now: MonotonicTime, all: Bool) -> [Operation] {
        var gone: [Operation] = []
        var kept: [Waiting] = []
        for (position, item) in waiting.enumerated() {
            let isLate = item.deadline.map { $0 <= now } ?? false
            if all || (isLate && !(position == 0 && isProposed)) {
                gone.append(item.operation)
            } else if isLate, case .remove(let id, _?) = item.operation {
                gone.append(item.operation)
                kept.append(Waiting(operation: .remove(id, nil)))
            } else {
                kept.append(item)
            }
        }
        if all { isProposed = false }
        waiting = kept
        return gone
    }
}
