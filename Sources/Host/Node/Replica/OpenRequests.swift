import NodeLogic
import Service
import Synchronization

/// Where the replies to requests go that the machine, the log or another node still has to decide
/// on. Whoever takes a target out answers it, so that each request is answered once, whichever
/// thread comes first. Any thread may call.
final class OpenRequests: Sendable {
    private struct Name: Hashable {
        var sink: ObjectIdentifier
        var id: RequestID

        init(_ target: ReplyTarget) { self.init(target.id, of: target.sink) }

        init(_ id: RequestID, of sink: any ReplySink) {
            self.sink = ObjectIdentifier(sink)
            self.id = id
        }
    }

    private struct State {
        var lastKey: UInt64 = 0
        var targets: [RequestKey: ReplyTarget] = [:]
        /// The same by what their sinks call them: who hangs up names it so. Sinks live as long as
        /// their targets.
        var keys: [Name: RequestKey] = [:]

        mutating func add(_ target: ReplyTarget) -> RequestKey {
            lastKey += 1
            let key = RequestKey(lastKey)
            targets[key] = target
            keys[Name(target)] = key
            return key
        }

        mutating func take(_ key: RequestKey) -> ReplyTarget? {
            guard let target = targets.removeValue(forKey: key) else { return nil }
            // A sink may have used the name again since.
            if let place = keys.index(forKey: Name(target)), keys[place].value == key {
                keys.remove(at: place)
            }
            return target
        }
    }

    private let state = Mutex(State())

    /// Keys for as many new requests as there are targets, in their order.
    func add(_ targets: [ReplyTarget]) -> [RequestKey] {
        state.withLock { state in targets.map { state.add($0) } }
    }

    func add(_ target: ReplyTarget) -> RequestKey { state.withLock { $0.add(target) } }

    /// Nil if it was answered already.
    func take(_ key: RequestKey) -> ReplyTarget? { state.withLock { $0.take(key) } }

    /// One for each key, in their order.
    func take(_ keys: [RequestKey]) -> [ReplyTarget?] {
        state.withLock { state in keys.map { state.take($0) } }
    }

    /// Those of one sink that are not answered yet, in the order of their keys. The time depends on
    /// `ids` alone, for clients may hang up by the thousand.
    func take(
        _ ids: [RequestID], of sink: any ReplySink
    ) -> [(key: RequestKey, target: ReplyTarget)] {
        state.withLock { state in
            ids.compactMap { id -> (key: RequestKey, target: ReplyTarget)? in
                guard let key = state.keys[Name(id, of: sink)], let target = state.take(key) else {
                    return nil
                }
                return (key, target)
            }.sorted { $0.key < $1.key }
        }
    }

    var count: Int { state.withLock(\.targets.count) }
}
