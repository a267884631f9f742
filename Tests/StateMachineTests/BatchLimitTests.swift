import Raft
import Testing
import Wire

@testable import StateMachine

/// What a limit decides follows from log and database, however entries were batched.
@Suite struct BatchLimitTests {
    private struct Run: Equatable {
        var outcomes: [StatementOutcome] = []
        var rows: [String] = []
    }

    /// Applies each text as an entry, behind a preparation of its own.
    private func run(
        _ texts: [String], after preparation: [String], under limits: WriteLimits, inOneBatch: Bool
    ) throws -> Run {
        let database = try Database(writes: limits)
        for text in preparation { try database.execute(text) }
        let first = database.applier.applied.position.index.rawValue + 1
        let entries = texts.enumerated().map { offset, text in
            let index = LogIndex(first + UInt64(offset))
            return entry(
                index,
                Command(kind: .execute, statements: [Statement(text)], stamp: stamp(index)))
        }
        var results: [AppliedEntry] = []
        for batch in inOneBatch ? [entries] : entries.map({ [$0] }) {
            try database.applier.apply(batch, reporting: { _ in true }, into: &results)
        }
        return Run(
            outcomes: results.compactMap { $0.result?.statements.first?.outcome },
            rows: try database.dump())
    }

    @Test func `A batch that meets the limit on growth says nothing of its requests`() throws {
        var limits = WriteLimits.initial
        limits.growth = 4 << 20
        let preparation = [
            "CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT)",
            // Then SQLite's words for the end of a sequence and for the limit are the same.
            "INSERT INTO s VALUES(9223372036854775807)",
            // With a constraint the statement alone is undone, and the batch's transaction stands.
            "CREATE TABLE t(k TEXT UNIQUE, v)",
        ]
        let texts = ["a", "b"].map {
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
            INSERT INTO t SELECT '\($0)' || i, hex(randomblob(450)) FROM n
            """
        }
        let singly = try run(texts, after: preparation, under: limits, inOneBatch: false)
        #expect(
            singly.outcomes == [
                .changed(lastInsertID: 3000, rowsAffected: 3000),
                .changed(lastInsertID: 6000, rowsAffected: 3000),
            ])
        #expect(
            try run(texts, after: preparation, under: limits, inOneBatch: true) == singly)
    }
}
