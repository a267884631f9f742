import PeerProtocol
import Raft
import Replication
import Service
import Time

/// Who asked for a checkpoint and a shorter log, in the order in which the database's thread was
/// asked.
struct CheckpointWaiters {
    struct Waiter {
        /// Nil: it was answered already, and the checkpoint is still under way.
        var pending: PendingRequest?
        /// What the database held when it was asked: a checkpoint must cover it.
        var index: LogIndex
        var keeping: UInt64?
    }

    /// Those who gave up count until their checkpoint is over: it is asked for, and takes the database's thread its time.
    private static let most = 64

    /// Their checkpoints are not over.
    var waiting: [Waiter] = []
    /// Their logs are being shortened.
    var shortening: [PendingRequest] = []

    /// No more may wait: where a disk hangs neither ends.
    var hasMost: Bool { waiting.count + shortening.count >= Self.most }
}

/// `/snapshot`: this node's database is checkpointed and its log shortened, whatever its role is.
extension NodeMachine {
    mutating func checkpointAsked(_ pending: PendingRequest, _ keeping: UInt64?) {
        guard let replicated, !replicated.isInstalling else {
            return router.answer(pending, .failed(.notReady(waitingFor)))
        }
        if let text = quarantineText ?? haltText {
            return router.answer(pending, .failed(.unsuitable(text)))
        }
        guard replicated.appliedIndex <= replicated.checkpointedIndex else {
            guard !checkpoints.hasMost else { return router.answer(pending, .failed(.busy)) }
            checkpoints.waiting.append(
                CheckpointWaiters.Waiter(
                    pending: pending, index: replicated.appliedIndex, keeping: keeping))
            return emit(.database(.checkpoint))
        }
        // The file holds everything already; there may be entries that the log can do without.
        guard replicated.canCompact(keeping: keeping) else {
            return router.answer(pending, .unchanged)
        }
        guard !checkpoints.hasMost else { return router.answer(pending, .failed(.busy)) }
        shorten(pending, keeping)
    }

    mutating func checkpointEnded(through index: LogIndex?) {
        guard !checkpoints.waiting.isEmpty else { return }
        let waiter = checkpoints.waiting.removeFirst()
        guard let pending = waiter.pending else { return }
        guard let index else { return router.answer(pending, .failed(.diskFull)) }
        guard index >= waiter.index else {
            let text = "long-running reads hold the checkpoint back: try again when they are over"
            return router.answer(pending, .failed(.unsuitable(text)))
        }
        shorten(pending, waiter.keeping)
    }

    private mutating func shorten(_ pending: PendingRequest, _ keeping: UInt64?) {
        checkpoints.shortening.append(pending)
        replicated?.compact(keeping: keeping)
        answerShortened()
    }

    /// The log has no room. A checkpoint lets it get shorter, which a database that is held for a snapshot keeps from
    /// doing anything; and without room for what is written nothing is applied that would bring one.
    mutating func endHoldForLog() {
        guard snapshots.logFull(now: now), let replicated else { return }
        // The hold ends before the checkpoint begins.
        _ = performSnapshots()
        checkpoints.waiting.append(
            CheckpointWaiters.Waiter(pending: nil, index: replicated.appliedIndex, keeping: nil))
        emit(.database(.checkpoint))
    }

    /// The log stands as short as it gets for now.
    mutating func answerShortened() {
        guard !checkpoints.shortening.isEmpty, replicated?.isCompacting != true else { return }
        let done = checkpoints.shortening
        checkpoints.shortening = []
        for pending in done { router.answer(pending, .done) }
    }

    /// - Parameter all: the node ends.
    mutating func expireCheckpoints(all: Bool = false) {
        let time = now
        func isOver(_ pending: PendingRequest) -> Bool { all || pending.deadline <= time }
        let outcome = Outcome.failed(
            all
                ? .notReady("node \(options.identity.id) is stopping")
                : .timedOut(waitingFor: "the checkpoint"))
        for place in checkpoints.waiting.indices {
            guard let pending = checkpoints.waiting[place].pending, isOver(pending) else {
                continue
            }
            checkpoints.waiting[place].pending = nil
            router.answer(pending, outcome)
        }
        for pending in checkpoints.shortening where isOver(pending) {
            router.answer(pending, outcome)
        }
        checkpoints.shortening.removeAll(where: isOver)
    }
}
