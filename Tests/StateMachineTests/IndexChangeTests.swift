import Raft
import Testing
import Wire

@testable import StateMachine

/// Nodes that open their databases at different times around a change of indexes, as in a rolling
/// restart, plan alike and so write alike.
@Suite struct IndexChangeTests {
    private static let numbers =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)"

    private static let schema = [
        """
        CREATE TABLE t(a, b); CREATE TABLE u(b, c); CREATE TABLE x(n INTEGER PRIMARY KEY, a, c);
        CREATE INDEX ta ON t(a); \(numbers) INSERT INTO t SELECT i % 7, i % 13 FROM n WHERE i < 20;
        \(numbers) INSERT INTO u SELECT i % 13, i FROM n; ANALYZE
        """
    ]

    /// None says an order, so that the plan decides which row gets which number.
    private static let writes = [
        "INSERT INTO x(a, c) SELECT a, c FROM t, u WHERE t.b = u.b",
        "INSERT INTO x(a, c) SELECT a, b FROM t WHERE a > 1 AND b < 9 LIMIT 5",
        "INSERT INTO x(a) SELECT DISTINCT b FROM u",
        "UPDATE t SET b = b + 1 WHERE a IN (SELECT a FROM x WHERE c % 3 = 1)",
        "INSERT INTO x(a, c) SELECT group_concat(b), count(*) FROM t GROUP BY a % 3",
    ]

    @Test(
        arguments: [
            ["CREATE INDEX tb ON t(b)"], ["DROP INDEX ta"],
            ["DROP INDEX ta; CREATE INDEX ta ON t(b, a)"],
            ["CREATE INDEX ub ON u(b)", "DROP INDEX ub"],
            ["CREATE INDEX tp ON t(b) WHERE a > 2; ANALYZE"],
            ["CREATE INDEX te ON t(a + b DESC)", "ANALYZE te"],
            ["CREATE INDEX tb ON t(b)", "ANALYZE", "DROP INDEX tb", "REINDEX"],
            ["BEGIN; CREATE INDEX tb ON t(b); ANALYZE; ROLLBACK"],
            ["CREATE UNIQUE INDEX tb ON t(b)"], ["ALTER TABLE t ADD COLUMN z DEFAULT 7", "VACUUM"],
            ["CREATE INDEX uc ON u(c); DELETE FROM sqlite_stat1", "PRAGMA optimize"],
        ])
    func `An index change followed by a rolling restart leaves all nodes with the same rows`(
        changes: [String]
    ) throws {
        let texts = Self.schema + Self.writes + changes + Self.writes + Self.writes
        let first = (Self.schema + Self.writes).count
        var expected: (rows: [String], answers: [[String]])?
        // The first never restarts, the others one after the other, from before the change on.
        let restarts: [Int?] = [nil] + (first - 1..<first + changes.count + 3).map { $0 }
        for restart in restarts {
            let database = try Database()
            var answers: [[String]] = []
            for (place, text) in texts.enumerated() {
                answers.append(try database.request(text).map { "\($0)" })
                if place == restart { database.applier = try Applier(path: database.applier.path) }
            }
            let rows = try database.dump()
            if let expected {
                let differences = rows.difference(from: expected.rows)
                #expect(differences.isEmpty, "restarted after \(restart ?? -1): \(differences)")
                #expect(answers == expected.answers, "restarted after \(restart ?? -1)")
            } else {
                #expect(rows.count > 200)
                expected = (rows, answers)
            }
        }
    }
}
