/// How the process's descriptors are shared: log, database and the connections to other nodes always
/// get theirs, and clients the rest. Without that a crowd of clients would keep the log from making
/// its next segment, which ends a node.
package struct DescriptorBudget: Equatable, Sendable {
    /// What the process may have open at once (the soft RLIMIT_NOFILE).
    package let limit: Int
    /// Never given to accepted connections.
    package let reserve: Int

    /// SQLite's read-only connections that serve requests, at most: as many as are wanted, or as the reserve holds
    /// beside what is the node's own.
    package let readers: Int

    /// The same beside these, for answers that go out in parts and reads that were given up: half of what there is
    /// where there is little.
    package let spareReaders: Int

    /// Connections that may be accepted from clients and other nodes together.
    package var connections: Int { limit - reserve }

    /// - Parameters:
    ///   - limit: the soft limit, after it was raised.
    ///   - readConnections: SQLite's read-only connections that are wanted at most.
    package init(limit: Int, readConnections: Int) {
        let limit = max(Limits.minDescriptors, limit)
        // Two files each, and a temporary one of what is sorted.
        let wanted = Limits.ownDescriptors + 3 * (readConnections + Limits.spareReaders)
        self.limit = limit
        // Where there is little, clients get half of it, and fewer readers are made.
        reserve = min(wanted, limit / 2)
        let held = max(0, (reserve - Limits.ownDescriptors) / 2)
        let spare = max(held - min(readConnections, Limits.usualReaders), held / 2)
        spareReaders = min(Limits.spareReaders, max(Limits.leastSpareReaders, spare))
        readers = min(readConnections, max(Limits.leastReaders, held - spareReaders))
    }

    /// What the soft limit is raised to: as far as the system permits, and no further than is of use
    /// to a process, for some programs that plugins start close every descriptor there could be.
    package static func raised(soft: UInt64, hard: UInt64) -> UInt64 {
        max(soft, min(hard, UInt64(Limits.maxDescriptors)))
    }
}
