import Threads
import Time

/// Lets a few readers at once compile what takes long. SQLite reports nothing meanwhile, so they can't take turns
/// as reads that run do. Thread-safe.
///
/// `@unchecked Sendable`: `free` is touched only while `lock` is held.
package final class CompilationGate: @unchecked Sendable {
    private let lock = WaitingLock()
    private var free: Int

    /// - Parameter places: how many compile at once.
    package init(places: Int) { free = max(1, places) }

    /// How often who waits looks whether it still should.
    private static var look: Duration { .milliseconds(50) }

    /// Waits for a place; `leave` gives it back.
    /// - Parameter isOver: asked now and then, under the lock: whether nobody waits for what comes of it.
    /// - Returns: false: it is over, and there is no place.
    func enter(unless isOver: () -> Bool) -> Bool {
        lock.locked {
            while free == 0 {
                if isOver() { return false }
                lock.wait(until: .now + Self.look)
            }
            free -= 1
            return true
        }
    }

    func leave() {
        lock.locked { free += 1 }
        lock.wakeOne()
    }
}
