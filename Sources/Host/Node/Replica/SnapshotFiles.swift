import NodeLogic
import PeerProtocol
import Raft
import StateMachine
import Synchronization

/// Snapshots under way, by the names that the machine knows them by: the database as it is held for
/// one that goes out, and the file of one that comes in. Any thread may call.
final class SnapshotFiles: Sendable {
    /// One that comes in.
    struct Receipt {
        var offer: SnapshotOffer
        /// Answers the sender's offer; called once.
        var decide: (@Sendable (SnapshotDecision) -> Void)?
        /// Tells the sender how it ended; there once it lies complete on disk.
        var done: (@Sendable (String?) -> Void)?
        /// The machine does not want it any more.
        var isStopped = false
    }

    private struct State {
        var sources: [SnapshotSendID: SnapshotSource] = [:]
        var receivers: [SnapshotSendID: NodeID] = [:]
        var lastReceipt: UInt64 = 0
        var receipts: [SnapshotReceiptID: Receipt] = [:]
        /// Accepted, and told so when the transfers that were stopped for it are over.
        var deferred: [SnapshotReceiptID] = []

        /// Those that are due, now that none is being stopped any more.
        mutating func takeDue(_ path: (SnapshotReceiptID) -> String) -> [Due] {
            guard !receipts.values.contains(where: \.isStopped) else { return [] }
            defer { deferred = [] }
            return deferred.compactMap { id in
                guard let decide = receipts[id]?.decide else { return nil }
                receipts[id]?.decide = nil
                return Due(
                    id: id, decide: decide,
                    decision: .accept(IncomingSnapshotID(id.rawValue), path: path(id)))
            }
        }
    }

    /// A decision that is to be told.
    private struct Due {
        var id: SnapshotReceiptID
        var decide: @Sendable (SnapshotDecision) -> Void
        var decision: SnapshotDecision
    }

    /// Ends a transfer that was accepted; `PeerTransport.stopReceiving`, but for tests.
    typealias Stopping = (IncomingSnapshotID, String) -> Void

    private let directory: String
    private let state = Mutex(State())

    init(directory: String) { self.directory = directory }

    // MARK: Out

    func hold(_ source: SnapshotSource, as id: SnapshotSendID) {
        state.withLock { $0.sources[id] = source }
    }

    func source(of id: SnapshotSendID, for peer: NodeID) -> SnapshotSource? {
        state.withLock { state in
            state.receivers[id] = peer
            return state.sources[id]
        }
    }

    func receiver(of id: SnapshotSendID) -> NodeID? {
        state.withLock { $0.receivers[id] }
    }

    func release(_ id: SnapshotSendID) {
        state.withLock { state in
            state.sources[id] = nil
            state.receivers[id] = nil
        }
    }

    // MARK: In

    /// Where it is written: a file of its own for each transfer, also when that has ended. Named like
    /// the database directory's own incoming files, so that a start removes remains.
    func path(of id: SnapshotReceiptID) -> String {
        "\(directory)/incoming-transfer-\(id.rawValue).sqlite"
    }

    func begin(
        _ offer: SnapshotOffer, _ decide: @escaping @Sendable (SnapshotDecision) -> Void
    ) -> SnapshotReceiptID {
        state.withLock { state in
            state.lastReceipt += 1
            let id = SnapshotReceiptID(state.lastReceipt)
            state.receipts[id] = Receipt(offer: offer, decide: decide)
            return id
        }
    }

    /// - Parameter refusal: nil: it is wanted, and begins when those that were stopped have ended.
    func decide(_ id: SnapshotReceiptID, refusal: String?, _ stopping: Stopping) {
        let due = state.withLock { state -> [Due] in
            guard let refusal else {
                state.deferred.append(id)
                return state.takeDue(path)
            }
            guard let decide = state.receipts.removeValue(forKey: id)?.decide else { return [] }
            return [Due(id: id, decide: decide, decision: .refuse(refusal))]
        }
        tell(due, stopping)
    }

    /// Not wanted any more: it is over when the transport says that nothing is left of it.
    func stop(_ id: SnapshotReceiptID, _ cause: String, _ stopping: Stopping) {
        let decide = state.withLock { state -> (@Sendable (SnapshotDecision) -> Void)? in
            state.deferred.removeAll { $0 == id }
            if let decide = state.receipts[id]?.decide {
                state.receipts[id] = nil
                return decide
            }
            state.receipts[id]?.isStopped = true
            return nil
        }
        if let decide { return decide(.refuse(cause)) }
        stopping(IncomingSnapshotID(id.rawValue), cause)
    }

    /// One that was stopped while it was being told that it may begin did not hear of that: the
    /// transport did not know it yet.
    private func tell(_ due: [Due], _ stopping: Stopping) {
        for due in due {
            due.decide(due.decision)
            let isStopped = state.withLock { $0.receipts[due.id]?.isStopped ?? false }
            if isStopped {
                stopping(IncomingSnapshotID(due.id.rawValue), "it is not wanted any more")
            }
        }
    }

    /// It lies complete on disk.
    /// - Returns: whether it is still wanted; if not, it is the caller's to end and to `forget`.
    func complete(
        _ id: SnapshotReceiptID, _ done: @escaping @Sendable (String?) -> Void
    ) -> Bool {
        state.withLock { state in
            guard let receipt = state.receipts[id], !receipt.isStopped else { return false }
            state.receipts[id]?.done = done
            return true
        }
    }

    /// Nothing is left of it.
    func forget(_ id: SnapshotReceiptID, _ stopping: Stopping) {
        let due = state.withLock { state -> [Due] in
            state.receipts[id] = nil
            return state.takeDue(path)
        }
        tell(due, stopping)
    }

    /// Nothing more is done with one that lay complete on disk; its file may still be deleted. One that
    /// waited for its end, if it was stopped at last, begins.
    func end(_ id: SnapshotReceiptID, problem: String?, _ stopping: Stopping) {
        let (done, due) = state.withLock { state in
            let done = state.receipts.removeValue(forKey: id)?.done
            return (done, state.takeDue(path))
        }
        done?(problem)
        tell(due, stopping)
    }
}
