import Raft

/// A rule that is broken on purpose, by the simulated shell or by the machines themselves. A checker
/// that lets one pass proves nothing.
package enum Mutation: String, CaseIterable, Sendable {
    // Of the shell.

    /// Votes and acknowledgements leave before they are durable.
    case answersBeforeSync
    /// A leader serves reads without asking a quorum whether it still leads.
    case readsUnconfirmed
    /// A write is acknowledged when it is appended, not when it is committed and applied.
    case acknowledgesAtAppend
    /// A restart forgets term and vote.
    case forgetsHardState
    /// A restart forgets whom the node voted for.
    case forgetsVote
    /// The log on disk keeps entries that were discarded.
    case keepsDiscardedEntries
    /// A wiped disk comes back as the member that it was, at once.
    case ignoresIncarnations
    /// The log is compacted behind a checkpoint of the database that was not synced.
    case compactsBeforeCheckpoint
    /// Votes go to candidates whose logs lack entries.
    case votesForStaleLogs
    /// A power cut's older database is trusted to have applied what the log says is committed.
    case skipsReapplying
    /// A database beside no log is another life's: the node begins anew, as who it was.
    case startsWithoutItsLog
    /// A log that can't be written is no reason to hand over.
    case leadsWithoutDisk
    /// Whoever asks for a second process of its identity is told that there is none.
    case toleratesCopies
    /// What arrives of a snapshot is taken for what was offered.
    case installsUnverified

    // Of the machines.

    /// `BrokenRule.commitsOldTerms`.
    case commitsOldTerms
    /// `BrokenRule.countsNonvoters`.
    case countsNonvoters
    /// `BrokenRule.appliesUncommitted`.
    case appliesUncommitted
    /// `BrokenRule.reusesReadRounds`.
    case reusesReadRounds
    /// `BrokenRule.acceptsStaleSnapshots`.
    case acceptsStaleSnapshots
    /// `BrokenRule.dropsConflictCheck`.
    case dropsConflictCheck
    /// `BrokenRule.foundsWithoutQuorum`.
    case foundsWithoutQuorum
    /// `BrokenRule.losesHardState`.
    case losesHardState
    /// `BrokenRule.promotesEarly`.
    case promotesEarly
    /// `BrokenRule.ignoresPreVote`.
    case ignoresPreVote
    /// `BrokenRule.ignoresCheckQuorum`.
    case ignoresCheckQuorum
    /// `BrokenRule.resendsForwards`.
    case resendsForwards
    /// `BrokenRule.changesMembershipEarly`.
    case changesMembershipEarly
    /// `BrokenRule.actsOnRemovalsEarly`.
    case actsOnRemovalsEarly
    /// `BrokenRule.sendsOverTransfers`.
    case sendsOverTransfers
    /// `BrokenRule.installsOverTransfers`.
    case installsOverTransfers
    /// `BrokenRule.deletesBeforeDurable`.
    case deletesBeforeDurable
    /// `BrokenRule.leasesTooLong`.
    case leasesTooLong
    /// `BrokenRule.answersParkedTwice`.
    case answersParkedTwice

    /// The rule of the machines that it breaks; nil: it is the shell that breaks one.
    var machineRule: BrokenRule? { BrokenRule(rawValue: rawValue) }

    /// Whether a rule of the machines is broken, and not one of the shell.
    package var isOfMachines: Bool { machineRule != nil }

    /// Whether this build can break it: the machines' rules are broken by debug builds alone.
    package var isPossible: Bool {
        #if MUTATIONS
            true
        #else
            machineRule == nil
        #endif
    }

    /// The rules that a node's machines keep.
    var rules: RuleBook {
        var rules = RuleBook()
        #if MUTATIONS
            rules.broken = machineRule
        #endif
        return rules
    }
}
