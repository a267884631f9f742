import Glibc
import PeerProtocol
import Raft
import Service
import Threads
import Time
import Transport

/// A node that takes every snapshot, and notes what becomes of it.
final class SnapshotTaker: QuietPeer {
    struct Outcome {
        var accepted = 0
        var ended = 0
        /// Of what was installed.
        var content: [UInt8]?
        /// Of a transfer that failed.
        var leavesFile = false
    }

    private struct State: Sendable {
        var outcome = Outcome()
        var number: UInt64 = 0
    }

    private let state = Monitor(State())

    func begin() { state.withLock { $0.outcome = Outcome() } }

    /// When every transfer that was accepted has ended, or after a minute.
    func outcome() -> Outcome {
        let deadline = MonotonicTime.now + .seconds(60)
        let ended = state.wait(until: { deadline }) {
            $0.outcome.accepted == $0.outcome.ended ? $0.outcome : nil
        }
        return ended ?? state.withLock { $0.outcome }
    }

    private func path(_ id: IncomingSnapshotID) -> String {
        "/dev/shm/rqlited-fuzz-\(getpid())-\(id)"
    }

    private func end(_ change: (inout Outcome) -> Void) {
        state.withLock {
            $0.outcome.ended += 1
            change(&$0.outcome)
        }
    }

    func prepareSnapshot(
        _ offer: SnapshotOffer, from caller: PeerCaller,
        reply: @escaping @Sendable (SnapshotDecision) -> Void
    ) {
        let id = state.withLock { state in
            state.number += 1
            state.outcome.accepted += 1
            return IncomingSnapshotID(state.number)
        }
        reply(.accept(id, path: path(id)))
    }

    func snapshotReceived(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, path: String,
        done: @escaping @Sendable (String?) -> Void
    ) {
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        while case let count = read(file, &buffer, buffer.count), count > 0 {
            content += buffer[..<count]
        }
        close(file)
        unlink(path)
        end { $0.content = content }
        done(nil)
    }

    func snapshotFailed(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, error: TransportError
    ) {
        let isLeft = access(path(id), F_OK) == 0
        unlink(path(id))
        end { $0.leavesFile = $0.leavesFile || isLeft }
    }
}
