import Time

/// The graceful end of a node, in two steps: it leaves, while it still serves, and then it stops.
struct Shutdown {
    private struct Step {
        var deadline: MonotonicTime
        var isDone = false
    }

    private var leaving: Step?
    private var isTransferring = false
    private var stopping: Step?

    var isLeaving: Bool { leaving != nil }
    var isStopping: Bool { stopping != nil }
    /// On its way out, in either step.
    var hasBegun: Bool { isLeaving || isStopping }

    /// - Parameter isTransferring: leadership is on its way to another node.
    mutating func beginLeaving(isTransferring: Bool, deadline: MonotonicTime) {
        self.isTransferring = isTransferring
        leaving = Step(deadline: deadline)
    }

    mutating func beginStopping(deadline: MonotonicTime) {
        guard stopping == nil else { return }
        stopping = Step(deadline: deadline)
    }

    /// The node has left when it follows another one, or when that did not come to be in time.
    /// - Returns: whether it has left now; true once.
    mutating func hasLeft(followsAnother: Bool, now: MonotonicTime) -> Bool {
        guard let step = leaving, !step.isDone,
            !isTransferring || followsAnother || now >= step.deadline
        else { return false }
        leaving?.isDone = true
        return true
    }

    /// The node stops when nothing is under way any more, or when that did not come to be in time.
    /// - Returns: whether it stops now; true once.
    mutating func mayStop(isIdle: Bool, now: MonotonicTime) -> Bool {
        guard let step = stopping, !step.isDone, isIdle || now >= step.deadline else {
            return false
        }
        stopping?.isDone = true
        return true
    }
}
