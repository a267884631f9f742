/// Which rules a node's machines keep: all, but for one that a simulated node breaks on purpose, to see
/// that the simulator's checks notice it. It travels with the settings of each machine.
///
/// Only debug builds of the modules that `Package.swift` defines `MUTATIONS` for hold a way to break
/// one. In every other build the type has no content and `breaks` is false, so that the optimiser
/// removes what hangs on it ([decision 125](docs/decisions/0125-rules-that-can-be-broken.md)).
package struct RuleBook: Equatable, Sendable {
    #if MUTATIONS
        /// The rule that is broken; nil: none.
        package var broken: BrokenRule?
    #endif

    package init() {}

    /// Whether the node breaks the rule.
    @inlinable
    package func breaks(_ rule: BrokenRule) -> Bool {
        #if MUTATIONS
            return broken == rule
        #else
            return false
        #endif
    }
}

/// A rule of consensus or of the node's machines that a simulated node can break on purpose.
package enum BrokenRule: String, Sendable {
    /// An entry of an earlier term is committed by counting who holds it (thesis figure 3.7).
    case commitsOldTerms
    /// A member without a vote counts in the quorum of a commit.
    case countsNonvoters
    /// A follower takes all that it holds for committed.
    case appliesUncommitted
    /// A read goes by an answer that was given before the read was asked for.
    case reusesReadRounds
    /// A snapshot is installed over a log that holds more than it.
    case acceptsStaleSnapshots
    /// A follower keeps its entries where the leader's differ.
    case dropsConflictCheck
    /// Who would propose a bootstrap starts it, without asking the others for promises.
    case foundsWithoutQuorum
    /// A new segment of the log begins without term and vote.
    case losesHardState
    /// A learner becomes a voter as soon as it answers.
    case promotesEarly
    /// An election is held without asking first whether it could be won.
    case ignoresPreVote
    /// A leader that hears no quorum goes on.
    case ignoresCheckQuorum
    /// What was sent on to a leader is sent on again, to the next one.
    case resendsForwards
    /// A leader changes the membership before it knows what is committed.
    case changesMembershipEarly
    /// A leader leaves for a removal that is not committed.
    case actsOnRemovalsEarly
    /// A snapshot is sent while another one is, which is forgotten.
    case sendsOverTransfers
    /// A snapshot is taken in while another one comes in or is being installed, which goes on.
    case installsOverTransfers
    /// The database that a received one replaces is deleted before the log names the new one.
    case deletesBeforeDurable
    /// Reads go by a leadership that was confirmed long ago.
    case leasesTooLong
    /// What was answered because it waited too long stays where it waits.
    case answersParkedTwice
}
