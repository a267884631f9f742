/// What a node tells of itself; see `rqd_node`.
package struct NodeState: Equatable, Sendable {
    /// The one that is stored.
    package var id: String
    /// `host:port`
    package var raftAddress: String
    /// The node stops; nothing is told after this.
    package var isLeaving: Bool

    package init(id: String, raftAddress: String, isLeaving: Bool) {
        self.id = id
        self.raftAddress = raftAddress
        self.isLeaving = isLeaving
    }
}

/// A resolver that is told what the node is (`rqd.node/1`). Calls come one at a time with the others.
package protocol NodeListener: Resolver {
    /// Whether it wants to be told; the same for its whole life.
    var listens: Bool { get }

    /// Told once, and when something has changed.
    /// - Throws: what makes the host tell it again, but for `RQD_UNSUPPORTED`.
    func update(_ node: NodeState, _ call: Call) throws(CallFailure)
}
