import Glibc
import Simulator
import Testing

/// Rules broken on purpose: each must be noticed by some seed, by the check that is meant to. A history
/// that ends its process by a precondition notices nothing.
@Suite struct MutationTests {
    struct Broken: Sendable, CustomTestStringConvertible {
        let rule: Mutation
        /// Parts of what the check says.
        let words: [String]
        var chapter: Chapter?

        init(_ rule: Mutation, _ words: String..., chapter: Chapter? = nil) {
            self.rule = rule
            self.words = words
            self.chapter = chapter
        }

        var testDescription: String { rule.rawValue }
    }

    /// Of the simulated shell.
    private static let around = [
        Broken(.answersBeforeSync, "which no quorum of voters holds"),
        Broken(.readsUnconfirmed, "was acknowledged before", "is not linearizable"),
        Broken(.acknowledgesAtAppend, "was acknowledged before"),
        Broken(.forgetsHardState, "forgot what its disk held"),
        Broken(.forgetsVote, "forgot what its disk held"),
        Broken(.keepsDiscardedEntries, "committed, not", "logs don't match"),
        Broken(
            .ignoresIncarnations,
            "lost entries that it had acknowledged", "older than what the cluster saw of it"),
        Broken(.compactsBeforeCheckpoint, "the database file is older than the log"),
        Broken(.votesForStaleLogs, "without committed entry"),
        Broken(.skipsReapplying, "starts on a database that nobody accounts for"),
        Broken(.startsWithoutItsLog, "starts though a part of its data is missing"),
        Broken(.leadsWithoutDisk, "can't be written"),
        Broken(.toleratesCopies, "takes part", "is not refused", chapter: .copyBeside),
        Broken(
            .installsUnverified, "no leader has committed it", "committed and forgotten",
            "starts on a database", "has applied something else",
            "the database file is older than the log"),
    ]

    /// Of the machines.
    private static let inside = [
        Broken(.commitsOldTerms, "by counting, in term"),
        Broken(.countsNonvoters, "which no quorum of voters holds"),
        Broken(.appliesUncommitted, "no leader has committed it"),
        Broken(.reusesReadRounds, "for which no quorum confirmed it"),
        Broken(.acceptsStaleSnapshots, "commitIndex"),
        Broken(
            .dropsConflictCheck, "logs don't match", "committed, not",
            "lost entries that it had acknowledged", "older than what the cluster saw of it"),
        Broken(.foundsWithoutQuorum, "is in another cluster than others"),
        Broken(.losesHardState, "forgot what its disk held"),
        Broken(.promotesEarly, "whose log ends at"),
        Broken(.ignoresPreVote, "without a quorum's pre-votes"),
        Broken(.ignoresCheckQuorum, "nothing is committed", "was acknowledged before"),
        Broken(.resendsForwards, "was applied", "is not linearizable"),
        Broken(.changesMembershipEarly, "before it has committed an entry of its term"),
        Broken(.actsOnRemovalsEarly, "by a membership that is not committed"),
        Broken(
            .sendsOverTransfers, "holds its database for a snapshot since", "comes to the cluster"),
        Broken(.installsOverTransfers, "takes in a snapshot while another one comes in"),
        Broken(.deletesBeforeDurable, "refuses undamaged data"),
        Broken(.leasesTooLong, "was acknowledged before"),
        Broken(.answersParkedTwice, "twice"),
    ]

    @Test(arguments: around + inside)
    func `A broken rule is noticed by the check that is meant to`(_ broken: Broken) async {
        // A trap would end the process.
        await #expect(processExitsWith: .success) {
            [
                rule = broken.rule.rawValue as String, words = broken.words as [String],
                chapter = broken.chapter?.rawValue as String?
            ] in
            let isNoticed = Hunt.catches(
                Mutation(rawValue: rule), as: words,
                chapter: chapter.flatMap(Chapter.init(rawValue:)))
            exit(isNoticed ? EXIT_SUCCESS : EXIT_FAILURE)
        }
    }

    @Test func `Each rule that can be broken has a check that is meant to notice it`() {
        let tried = (Self.around + Self.inside).map(\.rule.rawValue).sorted()
        #expect(tried == Mutation.allCases.map(\.rawValue).sorted())
        let isEachPossible = Mutation.allCases.allSatisfy(\.isPossible)
        let isEachInside = Self.inside.allSatisfy(\.rule.isOfMachines)
        #expect(isEachPossible && isEachInside)
        #expect(tried.count >= 24)
    }

    /// rqlite's rule: who comes back under a member's ID votes at once. In some history a voter
    /// whose acknowledgement committed an entry loses its disk, comes back empty, and elects a
    /// leader that lacks the entry: a write that a client was told of is gone.
    @Test
    func `A wiped voter that votes at once loses an acknowledged write, one that waits does not`() {
        let loss = (1...600 as ClosedRange<UInt64>).first { seed in
            let broken = Simulation(.brief(seed: seed, mutation: .ignoresIncarnations)).run()
            return broken.violation?.contains("without committed entry") == true
        }
        guard let loss else {
            Issue.record("no history loses a write")
            return
        }
        #expect(Simulation(.brief(seed: loss)).run().violation == nil)
    }

    @Test func `Without a broken rule nothing is noticed`() async {
        await #expect(processExitsWith: .failure) {
            exit(Hunt.catches(nil, as: [], among: 1...20) ? EXIT_SUCCESS : EXIT_FAILURE)
        }
    }
}

private enum Hunt {
    /// Whether the first history that the broken rule spoils is spoilt in one of these words.
    static func catches(
        _ mutation: Mutation?, as words: [String], chapter: Chapter? = nil,
        among seeds: ClosedRange<UInt64> = 1...1000
    ) -> Bool {
        for seed in seeds {
            var settings = SimulationSettings.brief(seed: seed, mutation: mutation)
            settings.chapter = chapter
            guard let violation = Simulation(settings).run().violation else { continue }
            let isNamed = words.contains { violation.contains($0) }
            if !isNamed {
                Issue.record("\(mutation.map { "\($0)" } ?? "none"), seed \(seed): \(violation)")
            }
            return isNamed || words.isEmpty
        }
        return false
    }
}
