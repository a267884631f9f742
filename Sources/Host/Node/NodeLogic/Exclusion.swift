/// Whether this node was removed from its cluster and knows it.
///
/// The removal's entry need not reach the node, so a member that lost its leader asks the others
/// whether it still belongs to them (`JoinRequest`, intent *resume*). Told that it doesn't, it
/// neither campaigns nor asks to be taken in again: an operator removed it, or it was reaped. It goes
/// on serving what it has at level `none`, and says what happened. A restart with `-join` or a
/// discovery mode is a wish to join, and is granted.
package enum Exclusion: Equatable, Sendable {
    case none
    /// It goes on listening: the cluster may take it in again.
    case removed
    /// It takes no part any more in this run (`-raft-remove-shutdown`).
    case stopped
}
