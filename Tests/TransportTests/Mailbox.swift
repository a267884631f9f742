import NIOCore
import NIOPosix
import Synchronization

struct WaitedTooLong: Error {
    var seen: String
}

/// Gathers what happened and lets a test wait until it is enough, with a limit that only a broken
/// program reaches.
final class Mailbox<Item: Sendable>: Sendable {
    private struct Waiter {
        var isEnough: @Sendable ([Item]) -> Bool
        var promise: EventLoopPromise<[Item]>
    }

    private struct State {
        var items: [Item] = []
        var waiters: [Waiter] = []
    }

    private let state = Mutex(State())

    var items: [Item] { state.withLock { $0.items } }

    func put(_ item: Item) { put(contentsOf: [item]) }

    func put(contentsOf items: [Item]) {
        let (woken, all) = state.withLock { state -> ([Waiter], [Item]) in
            state.items += items
            let all = state.items
            let woken = state.waiters.filter { $0.isEnough(all) }
            state.waiters.removeAll { $0.isEnough(all) }
            return (woken, all)
        }
        for waiter in woken { waiter.promise.succeed(all) }
    }

    @discardableResult
    func wait(until isEnough: @escaping @Sendable ([Item]) -> Bool) async throws -> [Item] {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: [Item].self)
        let ready = state.withLock { state -> [Item]? in
            if isEnough(state.items) { return state.items }
            state.waiters.append(Waiter(isEnough: isEnough, promise: promise))
            return nil
        }
        if let ready { promise.succeed(ready) }
        let limit = loop.scheduleTask(in: .seconds(300)) {
            promise.fail(WaitedTooLong(seen: "\(self.items)"))
        }
        defer { limit.cancel() }
        return try await promise.futureResult.get()
    }

    @discardableResult
    func wait(count: Int) async throws -> [Item] { try await wait { $0.count >= count } }

    func first() async throws -> Item { try await wait(count: 1)[0] }
}
