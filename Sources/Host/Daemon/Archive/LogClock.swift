package import Raft
internal import Wire

/// The clock of the log: that of the leader which proposed, and it never goes back. What has no stamp of
/// its own belongs to the moment before.
package struct LogClock: Equatable, Sendable {
    /// Since 1970.
    package private(set) var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The clock with the entry applied.
    package func after(_ entry: Entry) -> LogClock {
        guard case .command(let bytes) = entry.payload,
            let stamp = LogCommand.milliseconds(of: bytes)
        else { return self }
        return LogClock(milliseconds: max(milliseconds, stamp))
    }
}
