package import Time
package import Wire

/// Tells a load in parts that nobody goes on with, by this node's own clock.
///
/// Every node drops such a load at the same place, by the log's clock (`OpenLoad`). That never goes back: where a
/// leader's clock was once ahead it stands until that time has come, and with it the load, which keeps
/// all others away. So the leader has it forgotten, by an entry like that of a client that gave it up.
package struct LoadWatch: Equatable, Sendable {
    private struct Known: Equatable {
        var id: LoadID
        var parts: UInt32
        var since: MonotonicTime
    }

    /// As long as loads are kept by the log's clock.
    package static let lifetime = Duration.seconds(600)

    private var known: Known?

    package init() {}

    /// - Parameters:
    ///   - id: of the load that has no end yet; nil: there is none.
    ///   - parts: how many of it are there.
    /// - Returns: whether no part has come for too long.
    package mutating func isAbandoned(
        _ id: LoadID?, parts: UInt32, at now: MonotonicTime
    ) -> Bool {
        guard let id else {
            known = nil
            return false
        }
        guard let known, known.id == id, known.parts == parts else {
            known = Known(id: id, parts: parts, since: now)
            return false
        }
        return now - known.since > Self.lifetime
    }
}
