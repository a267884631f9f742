import NodeLogic
import PeerProtocol
import Raft
import StateMachine
import Synchronization
import Transport

/// Snapshots under way, by the names that the machine knows them by: the database as it is held for
/// one that goes out, and the file of one that comes in. Any thread may call.
final class SnapshotFiles: Sendable {
    /// One that comes in.
    struct Receipt {
        var offer: SnapshotOffer
        /// Where it is written: a file of its own for each transfer.
        var path: String
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

        /// Answers those that are due, now that none is being stopped any more.
        mutating func takeDue() -> [@Sendable () -> Void] {
            guard !receipts.values.contains(where: \.isStopped) else { return [] }
            defer { deferred = [] }
            return deferred.compactMap { id in
                guard let decide = receipts[id]?.decide, let path = receipts[id]?.path else {
                    return nil
                }
                receipts[id]?.decide = nil
                return { decide(.accept(IncomingSnapshotID(id.rawValue), path: path)) }
            }
        }
    }

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

    /// Named like the database directory's own incoming files, so that a start removes remains.
    func begin(
        _ offer: SnapshotOffer, _ decide: @escaping @Sendable (SnapshotDecision) -> Void
    ) -> SnapshotReceiptID {
        state.withLock { state in
            state.lastReceipt += 1
            let id = SnapshotReceiptID(state.lastReceipt)
            state.receipts[id] = Receipt(
                offer: offer,
                path: "\(directory)/incoming-transfer-\(state.lastReceipt).sqlite",
                decide: decide)
            return id
        }
    }

    /// - Parameter refusal: nil: it is wanted, and begins when those that were stopped have ended.
    func decide(_ id: SnapshotReceiptID, refusal: String?) {
        let due = state.withLock { state -> [@Sendable () -> Void] in
            guard let refusal else {
                state.deferred.append(id)
                return state.takeDue()
            }
            guard let decide = state.receipts.removeValue(forKey: id)?.decide else { return [] }
            return [{ decide(.refuse(refusal)) }]
        }
        for answer in due { answer() }
    }

    /// Not wanted any more: it is over when the transport says that nothing is left of it.
    func stop(_ id: SnapshotReceiptID, _ cause: String, through transport: PeerTransport) {
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
        transport.stopReceiving(IncomingSnapshotID(id.rawValue), reason: cause)
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
    func forget(_ id: SnapshotReceiptID) {
        let due = state.withLock { state -> [@Sendable () -> Void] in
            state.receipts[id] = nil
            return state.takeDue()
        }
        for answer in due { answer() }
    }

    func path(of id: SnapshotReceiptID) -> String? {
        state.withLock { $0.receipts[id]?.path }
    }

    func end(_ id: SnapshotReceiptID, problem: String?) {
        let done = state.withLock { $0.receipts.removeValue(forKey: id)?.done }
        done?(problem)
    }
}
