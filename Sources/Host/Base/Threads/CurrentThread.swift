import Glibc

/// What the thread that runs does with itself.
package enum CurrentThread {
    /// Waits, without a descriptor; a signal may end the wait early. Never on an event loop or one
    /// of Swift's own threads.
    /// - Parameter milliseconds: none for 0.
    package static func pause(milliseconds: Int32) { _ = poll(nil, 0, milliseconds) }

    /// How many blocks it has had read from a disk, as the system counts them (`ru_inblock` of
    /// getrusage(2)); 0 where the system counts none, as for files of a network.
    package static func blocksRead() -> Int {
        var usage = rusage()
        // RUSAGE_THREAD, which Swift does not see.
        guard getrusage(1, &usage) == 0 else { return 0 }
        return usage.ru_inblock
    }
}
