import Glibc
import Simulator
import Testing

/// Rules broken on purpose: each must be caught by some seed, by the simulation or by a
/// precondition of the production types, which ends the process.
@Suite struct MutationTests {
    @Test func `Answers before the sync are caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.answersBeforeSync) }
    }

    @Test func `Reads without a confirmed leadership are caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.readsUnconfirmed) }
    }

    @Test func `Writes acknowledged when appended are caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.acknowledgesAtAppend) }
    }

    @Test func `A forgotten term is caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.forgetsHardState) }
    }

    @Test func `A forgotten vote is caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.forgetsVote) }
    }

    @Test func `A log that keeps discarded entries is caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.keepsDiscardedEntries) }
    }

    @Test func `A wiped disk that still counts is caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.ignoresIncarnations) }
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

    @Test func `Compaction before the checkpoint is caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.compactsBeforeCheckpoint) }
    }

    @Test func `Votes for candidates that lack entries are caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.votesForStaleLogs) }
    }

    @Test func `A database trusted to hold what was committed is caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.skipsReapplying) }
    }

    @Test func `A leader that keeps leading without a disk is caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.leadsWithoutDisk) }
    }

    @Test func `A node that begins anew where its log is missing is caught`() async {
        await #expect(processExitsWith: .failure) { Hunt.run(.startsWithoutItsLog) }
    }

    @Test func `A write that is sent on twice is caught as applied twice`() {
        #expect(Hunt.catches(.resendsForwards, as: ["was applied 2 times", "not linearizable"]))
    }

    @Test func `A lease that lasts too long is caught as a stale read`() {
        #expect(Hunt.catches(.leasesTooLong, as: ["was acknowledged before"]))
    }

    @Test func `A database that is deleted too early is caught at the next start`() {
        #expect(Hunt.catches(.deletesBeforeDurable, as: ["refuses undamaged data"]))
    }

    @Test func `A second process of an identity is caught`() {
        #expect(
            Hunt.catches(
                .toleratesCopies, as: ["takes part", "is not refused"], chapter: .copyBeside))
    }

    @Test func `A snapshot that is none is caught where it is installed`() {
        #expect(
            Hunt.catches(
                .installsUnverified,
                as: [
                    "committed and forgotten", "starts on a database", "has applied something else",
                ]))
    }

    @Test func `Without a broken rule nothing is caught`() async {
        await #expect(processExitsWith: .success) { Hunt.run(nil, seeds: 1...20) }
    }
}

private enum Hunt {
    /// Whether the first history that the broken rule spoils is spoilt in one of these words.
    static func catches(_ mutation: Mutation, as words: [String], chapter: Chapter? = nil) -> Bool {
        for seed: UInt64 in 1...1000 {
            var settings = SimulationSettings.brief(seed: seed, mutation: mutation)
            settings.chapter = chapter
            guard let violation = Simulation(settings).run().violation else { continue }
            let isNamed = words.contains { violation.contains($0) }
            if !isNamed { Issue.record("seed \(seed): \(violation)") }
            return isNamed
        }
        return false
    }

    /// Ends the process as a failure when a seed shows that something is wrong.
    static func run(_ mutation: Mutation?, seeds: ClosedRange<UInt64> = 1...1000) {
        for seed in seeds {
            let settings = SimulationSettings.brief(seed: seed, mutation: mutation)
            if Simulation(settings).run().violation != nil { exit(EXIT_FAILURE) }
        }
    }
}
