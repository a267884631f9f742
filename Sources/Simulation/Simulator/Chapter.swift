/// What befalls a whole cluster on purpose, while all else is well, once in some histories: it needs
/// conditions that chance would hardly ever bring about.
package enum Chapter: String, CaseIterable, Sendable {
    /// A copy of a member's data directory is started beside it, again and again, and takes its place
    /// when the member is gone for good.
    case copyBeside
    /// A copy takes the place of a member that was stopped; then the member is started again.
    case copyFirst
    /// All nodes come back at new addresses at once; nobody answers at the old ones.
    case relocation
    /// All nodes come back at once, each at another's address.
    case permutation
    /// The same, one node after the other.
    case rotation
    /// All nodes come back with copies of their directories of different ages.
    case restoration
    /// Clients write the largest entries there are, over narrow links.
    case flood
}
