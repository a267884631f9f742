import NodeMachine
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

    /// - Parameter refusal: nil: it is wanted.
    func decide(_ id: SnapshotReceiptID, refusal: String?) {
        let (decide, path) = state.withLock { state in
            defer {
                state.receipts[id]?.decide = nil
                if refusal != nil { state.receipts[id] = nil }
            }
            return (state.receipts[id]?.decide, state.receipts[id]?.path ?? "")
        }
        decide?(refusal.map { .refuse($0) } ?? .accept(path: path))
    }

    func stop(_ id: SnapshotReceiptID) {
        state.withLock { $0.receipts[id]?.isStopped = true }
    }

    func id(of path: String) -> SnapshotReceiptID? {
        state.withLock { state in state.receipts.first { $0.value.path == path }?.key }
    }

    /// The transfer of this offer, before it is complete.
    func id(of offer: SnapshotOffer) -> SnapshotReceiptID? {
        state.withLock { state in
            state.receipts.first { $0.value.offer == offer && $0.value.done == nil }?.key
        }
    }

    /// It lies complete on disk.
    /// - Returns: whether it is still wanted; if not, it is the caller's to end.
    func complete(
        _ id: SnapshotReceiptID, _ done: @escaping @Sendable (String?) -> Void
    ) -> Bool {
        state.withLock { state in
            guard let receipt = state.receipts[id], !receipt.isStopped else {
                state.receipts[id] = nil
                return false
            }
            state.receipts[id]?.done = done
            return true
        }
    }

    func forget(_ id: SnapshotReceiptID) {
        state.withLock { $0.receipts[id] = nil }
    }

    func path(of id: SnapshotReceiptID) -> String? {
        state.withLock { $0.receipts[id]?.path }
    }

    func end(_ id: SnapshotReceiptID, problem: String?) {
        let done = state.withLock { $0.receipts.removeValue(forKey: id)?.done }
        done?(problem)
    }
}
