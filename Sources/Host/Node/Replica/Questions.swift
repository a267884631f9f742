import NodeLogic
import PeerProtocol
import Synchronization

/// Questions of other nodes that wait for the machine's answer. Bounded: a machine that answers
/// nobody must not gather them, and the callers have given up by then. Any thread may call.
final class Questions: Sendable {
    private struct State {
        var lastID: UInt64 = 0
        var replies: [PeerQuestionID: @Sendable (PeerAnswer) -> Void] = [:]
    }

    /// More than any cluster asks at a time.
    private static var limit: UInt64 { 4096 }

    private let state = Mutex(State())

    func add(_ reply: @escaping @Sendable (PeerAnswer) -> Void) -> PeerQuestionID {
        let (id, oldest) = state.withLock { state in
            state.lastID += 1
            let id = PeerQuestionID(state.lastID)
            state.replies[id] = reply
            let oldest =
                state.lastID > Self.limit
                ? state.replies.removeValue(forKey: PeerQuestionID(state.lastID - Self.limit))
                : nil
            return (id, oldest)
        }
        oldest?(.failed("too many questions wait here"))
        return id
    }

    func answer(_ id: PeerQuestionID, _ answer: PeerAnswer) {
        state.withLock { $0.replies.removeValue(forKey: id) }?(answer)
    }
}
