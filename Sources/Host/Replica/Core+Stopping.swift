import Raft
import Replication
import Service
import Telemetry
import Time

/// The graceful end of a node, in two steps: it leaves, while it still serves, and then it stops.
extension Core {
    /// Leadership is on its way to another node.
    struct Leaving {
        var done: @Sendable () -> Void
        var deadline: MonotonicTime
        var isTransferring: Bool
    }

    /// What is under way comes to its end.
    struct Stopping {
        var done: @Sendable () -> Void
        var deadline: MonotonicTime
    }

    func beginLeaving(_ done: @escaping @Sendable () -> Void) {
        guard leaving == nil else { return done() }
        var isTransferring = false
        if options.stepDownOnShutdown, replicated?.raft.role == .leader,
            (replicated?.raft.membership.voters.count ?? 0) > 1
        {
            links.logger.info("stepping down as leader before shutdown")
            do throws(Refusal) {
                try replicated?.transferLeadership(to: nil)
                isTransferring = true
            } catch {
                links.logger.warning("leadership stays", ["cause": "\(error)"])
            }
        }
        leaving = Leaving(
            done: done, deadline: now + options.quorumTime * 2, isTransferring: isTransferring)
    }

    /// The node has left when it follows another one, or when that did not come to be in time.
    func tickLeaving() {
        guard let leaving else { return }
        let hasMoved = replicated?.raft.role != .leader && replicated?.raft.leader != nil
        guard !leaving.isTransferring || hasMoved || now >= leaving.deadline else { return }
        self.leaving?.isTransferring = false
        leaving.done()
        self.leaving?.done = {}
    }

    func beginStop(_ done: @escaping @Sendable () -> Void) {
        guard stopping == nil else { return }
        stopping = Stopping(done: done, deadline: now + options.quorumTime * 2)
    }

    func tickStop() {
        guard let stopping else { return }
        let isIdle =
            openProposals.isEmpty && openReads.isEmpty && parked.isEmpty && links.forwarder.isIdle
        guard isIdle || now >= stopping.deadline else { return }
        for pending in parked {
            let error = ServiceError.notReady("node \(options.identity.id) is stopping")
            replies.add(.failed(error), to: pending.target)
        }
        parked = []
        replies.deliver()
        isStopped = true
        stopping.done()
    }
}
