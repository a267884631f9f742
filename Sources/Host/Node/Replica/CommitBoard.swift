import Raft
import Service
import Synchronization

/// Where the database stands in its cluster's history, for those who read it: told before a batch is
/// applied and after. So what a reader sees lies between, and where both are equal it is known exactly
/// without asking the database. Thread-safe.
final class CommitBoard: Sendable {
    private struct State {
        var cluster: ClusterID?
        var epoch: UInt64 = 0
        /// Committed in the database through here.
        var applied = LogIndex.zero
        /// Nothing behind this is, or comes to be before it is told.
        var begun = LogIndex.zero
    }

    private let state = Mutex(State())

    /// The database stands here, with nothing under way.
    func stands(at position: LogPosition, of cluster: ClusterID?) {
        state.withLock { state in
            state.cluster = cluster
            state.epoch = position.term.epoch
            state.applied = position.index
            state.begun = position.index
        }
    }

    /// What through here is not in the database yet may be there from now on.
    func begins(through position: LogPosition) {
        state.withLock { $0.begun = max($0.begun, position.index) }
    }

    /// A read that begins now sees at least this.
    var applied: LogIndex { state.withLock(\.applied) }

    /// What a read has seen that begun when `applied` was told; nil: there is no cluster.
    /// - Parameter first: `applied` from before the read opened its view of the database.
    func sight(since first: LogIndex) -> ReadSight? {
        state.withLock { state in
            state.cluster.map { cluster in
                ReadSight(
                    CommitMark(cluster: cluster, epoch: state.epoch, index: state.begun),
                    isExact: first == state.begun)
            }
        }
    }

    /// Of an entry that was applied.
    func mark(at index: LogIndex) -> CommitMark? {
        state.withLock { state in
            state.cluster.map { CommitMark(cluster: $0, epoch: state.epoch, index: index) }
        }
    }

    /// Nothing has changed in the database since the mark.
    func isStill(at mark: CommitMark) -> Bool {
        state.withLock { state in
            state.cluster == mark.cluster && state.epoch == mark.epoch && state.begun == mark.index
                && state.applied == mark.index
        }
    }
}
