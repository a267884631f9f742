import NodeLogic
import Service
import Synchronization

/// Where the replies to requests go that the machine, the log or another node still has to decide
/// on. Whoever takes a target out answers it, so that each request is answered once, whichever
/// thread comes first. Any thread may call.
final class OpenRequests: Sendable {
    private struct State {
        var lastKey: UInt64 = 0
        var targets: [RequestKey: ReplyTarget] = [:]
    }

    private let state = Mutex(State())

    /// Keys for as many new requests as there are targets, in their order.
    func add(_ targets: [ReplyTarget]) -> [RequestKey] {
        state.withLock { state in
            targets.map { target in
                state.lastKey += 1
                let key = RequestKey(state.lastKey)
                state.targets[key] = target
                return key
            }
        }
    }

    func add(_ target: ReplyTarget) -> RequestKey {
        state.withLock { state in
            state.lastKey += 1
            let key = RequestKey(state.lastKey)
            state.targets[key] = target
            return key
        }
    }

    /// Nil if it was answered already.
    func take(_ key: RequestKey) -> ReplyTarget? {
        state.withLock { $0.targets.removeValue(forKey: key) }
    }

    /// One for each key, in their order.
    func take(_ keys: [RequestKey]) -> [ReplyTarget?] {
        state.withLock { state in keys.map { state.targets.removeValue(forKey: $0) } }
    }

    /// Those of one sink that are not answered yet.
    func take(
        _ ids: [RequestID], of sink: any ReplySink
    ) -> [(key: RequestKey, target: ReplyTarget)] {
        let ids = Set(ids)
        return state.withLock { state in
            let found = state.targets.filter { $0.value.sink === sink && ids.contains($0.value.id) }
            for key in found.keys { state.targets[key] = nil }
            return found.map { ($0.key, $0.value) }.sorted { $0.key < $1.key }
        }
    }

    var count: Int { state.withLock(\.targets.count) }
}
