import SQLCheck
import Testing
import Wire

/// Histories of random SQL, applied in all the ways in which nodes of a cluster can differ: one entry
/// at a time, in batches, with restarts, by a snapshot. `rqlite-sqlcheck` runs more of them, and
/// replays one.
@Suite struct SQLGeneratorTests {
    private static let entries = 100
    /// Histories of every build.
    private static let seeds: ClosedRange<UInt64> = 1...500

    @Test func `Fifty thousand entries end equal in whatever way they are applied`() async {
        let counts = await withTaskGroup(of: HistoryCheck.Counts.self) { group in
            for first in stride(from: Self.seeds.lowerBound, through: Self.seeds.upperBound, by: 50)
            {
                group.addTask { await Self.check(first...first + 49) }
            }
            var sum = HistoryCheck.Counts()
            for await counts in group { sum += counts }
            return sum
        }
        #expect(counts.entries >= 50_000)
        #expect(counts.restarts >= 2_000)
        #expect(counts.judged >= 5_000)
        #expect(counts.readings >= 1_000)
        // Neither all nor none may fail.
        #expect(counts.failures > counts.entries / 20)
        #expect(counts.failures < counts.entries / 2)
    }

    private static func check(_ seeds: ClosedRange<UInt64>) async -> HistoryCheck.Counts {
        var counts = HistoryCheck.Counts()
        for seed in seeds {
            // Who waits for a process hears of its end: until then a thread asks for it without a pause.
            await Task.yield()
            let report = SeedReport(seed: seed, entries: entries, restarts: seed % 20 == 0)
            counts += report.counts
            #expect(
                report.failure == nil,
                "replay: swift run -c release rqlite-sqlcheck \(seed) --restart-every 1")
        }
        return counts
    }

    /// In the first three the traces for checksums differed between batches and single entries: SQLite
    /// took a kept statement for outdated, and compiled it again while it ran. In the others a
    /// reader that had an older schema in memory took a statement for another kind than it was.
    @Test(arguments: [
        7004, 13449, 18842, 1311, 1507, 1830, 1957, 2801, 3206, 5541, 20333, 20382,
    ])
    func `A history that once came out different ends equal`(seed: UInt64) {
        let report = SeedReport(seed: seed, entries: Self.entries, restarts: true)
        #expect(report.failure == nil)
    }

    @Test func `One seed gives one history`() {
        for seed: UInt64 in [1, 2, 3] {
            #expect(
                History(seed: seed, entries: 60).text == History(seed: seed, entries: 60).text)
        }
        #expect(History(seed: 1, entries: 60).text != History(seed: 2, entries: 60).text)
    }

    @Test func `A failing history is shrunk to what makes it fail`() {
        var history = History(seed: 4, entries: 80)
        history.commands[37].statements.append(.init("DROP TABLE one"))
        history.commands[61].statements.insert(.init("DROP TABLE two"), at: 0)
        func holds(_ history: History, _ sql: String) -> Bool {
            history.commands.contains { $0.statements.contains { $0.sql == sql } }
        }
        var shrinker = Shrinker(runs: 1_000) {
            holds($0, "DROP TABLE one") && holds($0, "DROP TABLE two")
        }
        let smallest = shrinker.shrink(history)
        #expect(
            smallest.commands.map { $0.statements.map(\.sql) }
                == [["DROP TABLE one"], ["DROP TABLE two"]])
    }
}
