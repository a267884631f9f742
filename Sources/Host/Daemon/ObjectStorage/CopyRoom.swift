internal import Threads
internal import Time

/// Has copies of the database gathered one at a time: a disk that has room for one may have none for two, and
/// whoever found none tries again after the same pauses as the other. Thread-safe.
package final class CopyRoom: Sendable {
    private let isTaken = Monitor(false)

    /// How often it is asked whether the copy is still wanted.
    private static let beat = Duration.milliseconds(250)

    package init() {}

    /// Waits until nobody else gathers one.
    /// - Parameters:
    ///   - isWanted: asked now and then, until it is this one's turn.
    ///   - gather: the file of what is to be sent; that goes then is nobody's business here.
    /// - Returns: nil where it is not wanted, or where `gather` has none.
    package func turn<Copy>(
        while isWanted: () -> Bool, _ gather: () throws(StorageFault) -> Copy?
    ) throws(StorageFault) -> Copy? {
        while isWanted() {
            let deadline = MonotonicTime.now + Self.beat
            let isMine: Bool? = isTaken.wait(until: { deadline }) { isTaken in
                if isTaken { return nil }
                isTaken = true
                return true
            }
            guard isMine != nil else { continue }
            defer { isTaken.withLock { $0 = false } }
            return try gather()
        }
        return nil
    }
}
