package import Raft

/// Bounds of what a node holds on behalf of clients.
package struct RouterLimits: Sendable {
    /// Requests that wait for a leader or the database; more are answered as busy. For the database half of these may
    /// wait: what a client wants to have seen may never come, and there is no leader for seconds at most.
    package var parkedRequests = 10_000
    /// Bytes of parked requests; more are answered as busy.
    package var parkedBytes = 256 << 20
    /// A request that was sent on and not answered is given up so long after its own time.
    package var forwardGrace = Duration.seconds(1)
    /// What was sent on to a node that leads no more is given up after so long: it may be cut off, or stand still.
    package var formerLeaderTime = Duration.seconds(40)
    /// Which rules are kept: all, unless a simulation breaks one.
    package var rules = RuleBook()

    package init() {}
}
