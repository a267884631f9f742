/// The bounds of a formation: nothing here grows with what other nodes send.
package enum FormationLimits {
    /// Addresses in a candidate list; more are left out.
    package static let addresses = 256
    /// Different lists that an acceptor remembers between two acceptances. Another one is refused:
    /// forgetting any could let two clusters be born.
    package static let recordedLists = 16
    /// How far one message may move this node's ballot counter. Twenty ballots a second for five
    /// months don't reach it, and 2^64 is 2^36 such messages away, each of which waits for a disk.
    package static let ballotReach: UInt64 = 1 << 28
    /// Answers that wait for the disk. Further requests are dropped and asked again.
    package static let heldAnswers = 1_024
    /// Contradictions remembered of those whose end nothing shows; further ones are not said.
    package static let lastingContradictions = 64
    /// Leader hints followed without a new hello.
    package static let joinRedirects = 10
}
