import Raft
import Replication
import Telemetry
import Time

/// Removing members that were silent for too long: a leader's work, where the operator asked for
/// it.
extension Core {
    private var reaper: Reaper { Reaper(timeouts: options.reapTimeouts) }

    /// Silent members with the time that each has left; empty on a node that doesn't lead.
    var reapingDue: [Reaper.Due] {
        guard options.reapTimeouts != ReapTimeouts(), let raft = replicated?.raft,
            raft.role == .leader
        else { return [] }
        return reaper.due(
            raft.membership, raft.progress, tick: options.tick, patience: options.quorumTime,
            busy: snapshots.sendingTo)
    }

    func tickReaping() {
        for due in reapingDue where due.isOver && !membershipQueue.isRemoving(due.id) {
            if let until = reapingPausedUntil[due.id], now < until { continue }
            membershipQueue.append(.reap(due.id), deadline: now + Self.reapTime)
        }
    }

    /// A change that can't be committed for so long is given up; it is tried again as much later
    /// if the member is still due.
    private static var reapTime: Duration { .seconds(10) }

    /// The member may have answered while its removal waited for its turn.
    func isStillDue(_ id: NodeID) -> Bool {
        reapingDue.contains { $0.id == id && $0.isOver }
    }

    func reaped(_ id: NodeID, wasVoting: Bool) {
        links.board.countReaping(succeeded: true)
        links.logger.announce("successfully reaped \(Self.kind(wasVoting)) node \(id)")
    }

    /// - Parameter cause: for the operator.
    func reapingFailed(_ id: NodeID, wasVoting: Bool, _ cause: String) {
        reapingPausedUntil[id] = now + Self.reapTime
        links.board.countReaping(succeeded: false)
        links.logger.announce("failed to reap \(Self.kind(wasVoting)) node \(id): \(cause)")
    }

    private static func kind(_ wasVoting: Bool) -> String { wasVoting ? "voting" : "non-voting" }
}
