internal import CSQLite

/// How often this thread met a lack of something that a machine has more or less of. SQLite says of a
/// full disk what it says of a limit, and of a lack of memory what it says of a value that is too
/// large; only whether the counts have moved tells one from the other.
struct Shortages: Equatable {
    /// Writes that the disk had no room for.
    private(set) var disk: UInt64
    /// Allocations that the system refused.
    private(set) var memory: UInt64

    /// Those that the calling thread has met so far.
    static var met: Shortages {
        Shortages(disk: csqlite_disk_full_count(), memory: csqlite_memory_failures())
    }

    /// Whether the disk was full since these were counted.
    var hasFilledDisk: Bool { csqlite_disk_full_count() != disk }
    /// Whether the system refused memory since these were counted.
    var hasLackedMemory: Bool { csqlite_memory_failures() != memory }
}
