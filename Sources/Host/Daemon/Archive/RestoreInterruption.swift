internal import Synchronization
package import ObjectStorage

/// Ends a restore from another thread than its own: at the next moment at which it looks, or at once.
package final class RestoreInterruption: Sendable {
    /// A directory of a restore that is under way.
    struct Place: Sendable {
        var descriptor: Int32
        var path: String
    }

    private struct State {
        var places: [Place] = []
        var isAbandoned = false
        var isPublished = false
    }

    /// Raised: the restore gives up as soon as it looks, and leaves nothing.
    package let flag = StopFlag()
    private let state = Mutex(State())

    package init() {}

    /// For who can't wait: nothing of the restore is left, and nothing comes of it, wherever its thread
    /// is. The process must end then.
    /// - Returns: false: too late, the file has its name; only its directory is still to be synced.
    package func abandon() -> Bool {
        flag.raise()
        return state.withLock { state in
            guard !state.isPublished else { return false }
            state.isAbandoned = true
            for place in state.places { RestoreDirectory.remove(place.descriptor, place.path) }
            return true
        }
    }

    /// - Throws: when it is to end.
    func check() throws(StorageFault) {
        if flag.isRaised { throw StorageFault("the restore was interrupted") }
    }

    /// - Parameter directory: one more of the restore's; it must be there until `leave`.
    package func work(in directory: RestoreDirectory) {
        let place = directory.place
        state.withLock { $0.places.append(place) }
    }

    /// The restore is over: its directories go, before anybody hears of the end.
    package func leave() {
        state.withLock { state in
            for place in state.places { RestoreDirectory.remove(place.descriptor, place.path) }
            state.places = []
        }
    }

    /// - Parameter body: gives the file its name.
    func publish(_ body: () throws(StorageFault) -> Void) throws(StorageFault) {
        try state.withLock { state throws(StorageFault) in
            guard !state.isAbandoned else { throw StorageFault("the restore was interrupted") }
            try body()
            state.isPublished = true
        }
    }
}
