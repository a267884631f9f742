import CSQLite
import Raft
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// What one step of SQLite's virtual machine can cost is bounded: with the limit on steps ends the
/// time of a request, whatever functions, operators and modules it uses.
@Suite(.serialized) struct StepCostTests {
    /// A hundredth of the usual limit.
    private static let steps: UInt64 = 10_000_000

    private static let numbers =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)"

    /// Made once: it takes longer than much of what is tried on it.
    private static let file: Result<[UInt8], any Error> = Result {
        try prepared(steps: steps).bytes().bytes
    }

    private func database() throws -> Database {
        try Database(holding: Self.file.get())
    }

    private static func prepared(steps: UInt64) throws -> Database {
        var limits = WriteLimits.initial
        limits.steps = steps
        let database = try Database(writes: limits)
        try database.execute(
            "CREATE TABLE t(a)", "CREATE TABLE big(a)",
            "INSERT INTO big VALUES(hex(zeroblob(8000000)))",
            "CREATE VIRTUAL TABLE f USING fts5(a, content='', detail=none)",
            "CREATE VIRTUAL TABLE g USING fts5(a)",
            "INSERT INTO g SELECT replace(hex(zeroblob(300000)), '00', 'x ')")
        return database
    }

    @Test(arguments: [
        "INSERT INTO t SELECT count(hex(zeroblob(50000000 + i % 2))) FROM n",
        "INSERT INTO t SELECT count(zeroblob(200000000 + i % 2)) FROM n",
        "INSERT INTO t SELECT count(printf('%*d', 50000000 + i % 2, 1)) FROM n",
        "INSERT INTO t SELECT count(quote(zeroblob(50000000 + i % 2))) FROM n",
        "INSERT INTO t SELECT count(upper(a) || i) FROM n, big",
        "INSERT INTO t SELECT count(*) FROM n, big WHERE a || i = 'x'",
        "INSERT INTO t SELECT count(json_array(a, i)) FROM n, big",
        "INSERT INTO t SELECT sum(json_array_length(json_array(a, i))) FROM n, big",
        "INSERT INTO t SELECT count(CAST(a AS BLOB) || i) FROM n, big",
        "INSERT INTO t SELECT max(length(substr(a, i % 5))) FROM n, big",
        "INSERT INTO t SELECT count(*) FROM n, big WHERE a LIKE '%1%2%' || i",
        "INSERT INTO t SELECT length(group_concat(a || i)) FROM n, big",
        "INSERT INTO f(rowid, a) SELECT i, a || i FROM n, big",
        "INSERT INTO t SELECT count(*) FROM n, g('\"x x x x x x x x x x x x x x x x\"')",
        "INSERT INTO t SELECT count(highlight(g, 0, '<', '>')) FROM n, g('x')",
        "UPDATE big SET a = a || (SELECT count(a || i) FROM n)",
        "INSERT INTO t SELECT count(*) FROM n, pragma_integrity_check",
        "INSERT INTO t SELECT count(*) FROM n, pragma_table_info('big')",
    ])
    func `A statement of costly steps ends with the limit on steps, and writing goes on`(
        sql: String
    ) throws {
        let database = try database()
        try database.expectLimit(
            of: Self.steps, on: Self.numbers + " " + sql, within: .seconds(60))
    }

    /// A document of megabytes that stands in the schema.
    @Test(arguments: [
        (
            "CREATE TABLE u(a); CREATE TRIGGER tu AFTER INSERT ON u BEGIN SELECT 1; INSERT INTO t SELECT json_extract('?', '$[' || new.a || ']'); END",
            "INSERT INTO u SELECT i FROM n"
        ),
        (
            "CREATE VIEW v AS SELECT i, json_extract('?', '$[' || i || ']') AS x FROM (SELECT 1 AS i UNION SELECT 2)",
            "INSERT INTO t SELECT sum(x) FROM n, v"
        ),
        (
            "CREATE TABLE u(a CHECK(json_extract('?', '$[' || a || ']') IS NOT 7))",
            "INSERT INTO u SELECT i FROM n"
        ),
        (
            "CREATE TABLE u(a, b AS (json_extract('?', '$[' || a || ']')) STORED)",
            "INSERT INTO u(a) SELECT i FROM n"
        ),
        (
            "CREATE TABLE u(a); INSERT INTO u VALUES(1); ALTER TABLE u ADD COLUMN b DEFAULT '?'",
            "INSERT INTO t SELECT sum(json_extract(b, '$[' || i || ']')) FROM n, u"
        ),
        (
            "CREATE TABLE u(a); CREATE INDEX iu ON u(json_extract('?', '$[' || a || ']'))",
            "INSERT INTO u SELECT i FROM n"
        ),
        (
            "CREATE TABLE u(a CHECK(json_extract('?', '$[' || a || ']') IS NOT 7)); INSERT INTO u VALUES(1)",
            "INSERT INTO t SELECT count(*) FROM n, pragma_integrity_check"
        ),
    ])
    func `What goes through a literal of the schema within a step ends with the limit on steps`(
        schema: String, sql: String
    ) throws {
        let document = "[" + String(repeating: "1,", count: 2_000_000) + "1]"
        let parts = schema.split(separator: "?").map(String.init)
        let database = try database()
        let outcomes = try database.execute(parts.joined(separator: document))
        for case .failed(let text) in outcomes { Issue.record("\(text)") }
        // On the connection that made the schema, and on one that has read it.
        for isReopened in [false, true] {
            if isReopened {
                try database.execute("DELETE FROM t")
                database.applier = try Applier(path: database.applier.path)
            }
            try database.expectLimit(
                of: Self.steps, on: Self.numbers + " " + sql, within: .seconds(60))
        }
    }

    @Test(arguments: ["", ";", "SELECT 1;;"])
    func `A large literal costs steps, whatever stands in front of its statement`(
        front: String
    ) throws {
        let document = "[" + String(repeating: "1,", count: 2_000_000) + "1]"
        try database().expectLimit(
            of: Self.steps,
            on: front
                + "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
                + "INSERT INTO t SELECT sum(json_extract('\(document)', '$[' || i || ']')) FROM n",
            within: .seconds(60))
    }

    @Test func `A table made of costly rows ends with the limit on steps`() throws {
        let database = try database()
        let outcomes = try database.execute(
            "CREATE TABLE c AS \(Self.numbers) SELECT length(hex(zeroblob(9000000 + i))) FROM n")
        #expect("\(outcomes)".contains("needs more than \(Self.steps) steps"), "\(outcomes)")
        #expect(try database.execute("CREATE TABLE c(a)") == [.empty])
    }

    /// Values that are there all the time, and gone through in each step.
    @Test(arguments: [
        "length(?1) + i", "(?1 = ?2) + i", "i + (CASE i % 2 WHEN 3 THEN ?1 ELSE ?2 END > ?1)",
        "i + (?1 LIKE '%b')", "i + unicode(?1)", "i + (?1 < ?2)",
    ])
    func `A statement whose steps go through what is bound to it ends with the limit on steps`(
        expression: String
    ) throws {
        let database = try database()
        let start = ThreadTime.now
        let text = String(repeating: "a", count: 20_000_000)
        let result = try database.apply(
            Command(
                kind: .execute,
                statements: [
                    Statement(
                        Self.numbers + " INSERT INTO t SELECT max(\(expression)) FROM n",
                        positional: expression.contains("?2")
                            ? [.text(text), .text(text)] : [.text(text)])
                ], stamp: stamp(database.applier.applied.position.index.next)))
        guard case .failed(let words)? = result.statements.first?.outcome else {
            Issue.record("\(result)")
            return
        }
        #expect(words.contains("needs more than \(Self.steps) steps"), "\(words)")
        #expect(ThreadTime.now - start < .seconds(120))
    }

    /// No thousand of them, of which SQLite would tell.
    @Test func `Statements of a few steps are charged for what is bound to them, too`() throws {
        let database = try Database()
        let columns = (0..<200).map { "?1 = \($0)" }.joined(separator: ", ")
        let charges = try [100, 1_000_000].map { count in
            let before = database.applier.session.budget.charged
            let text = Value.text(String(repeating: "a", count: count))
            let result = try database.apply(
                Command(
                    kind: .execute,
                    statements: [Statement("SELECT \(columns)", positional: [text])]))
            #expect(result.statements.map(\.outcome) == [.empty])
            return database.applier.session.budget.charged - before
        }
        #expect(charges[1] - charges[0] > 40_000)
    }

    @Test func `The end by costly steps is the same in a batch, alone, and after restarts`() throws
    {
        var ends: Set<[String]> = []
        for way in 0..<3 {
            let database = try Self.prepared(steps: 1_000_000)
            var texts = (0..<4).map { "INSERT INTO g VALUES('y \($0)')" }
            for size in stride(from: 100_000, to: 4_000_000, by: 300_000) {
                texts.append(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) "
                        + "INSERT INTO t SELECT sum(length(hex(zeroblob(\(size) + i)))) FROM n")
            }
            let first = database.applier.applied.position.index.rawValue + 1
            let entries = texts.enumerated().map { (offset, text) in
                let index = LogIndex(first + UInt64(offset))
                return entry(
                    index,
                    Command(
                        kind: .execute, statements: [Statement(text)], stamp: stamp(index)))
            }
            var results: [AppliedEntry] = []
            if way == 0 {
                try database.applier.apply(entries, reporting: { _ in true }, into: &results)
            } else {
                for entry in entries {
                    if way == 2 {
                        database.applier = try Applier(path: database.applier.path)
                    }
                    try database.applier.apply([entry], reporting: { _ in true }, into: &results)
                }
            }
            ends.insert(
                results.compactMap { $0.result?.statements.first }.map { "\($0.outcome)" }
                    + [try database.dump().joined(separator: "\n")])
        }
        #expect(ends.count == 1)
        let outcomes = ends.first?.dropLast() ?? []
        #expect(outcomes.contains { $0.contains("needs more than") })
        #expect(outcomes.contains { $0.contains("changed") })
    }

    @Test func `Copying large rows is no matter`() throws {
        let database = try Self.prepared(steps: WriteLimits.initial.steps / 20)
        let outcomes = try database.execute(
            "DELETE FROM big",
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
            INSERT INTO big SELECT zeroblob(1000000) FROM n
            """, "INSERT INTO t SELECT a FROM big", "UPDATE t SET a = CAST(a AS TEXT)",
            "CREATE INDEX i ON t(length(a))")
        #expect(outcomes.suffix(1) == [.empty], "\(outcomes)")
        #expect(outcomes.dropLast().allSatisfy { if case .changed = $0 { true } else { false } })
    }

    @Test func `A check of the whole database within a write counts by its pages`() throws {
        let database = try database()
        try database.execute(
            "INSERT INTO big VALUES(zeroblob(50000000)), (zeroblob(50000000))")
        for check in ["PRAGMA integrity_check", "PRAGMA quick_check(1)"] {
            #expect(try database.rows(check) == ["ok"])
        }
        var limits = WriteLimitsChange()
        limits.steps = 1_000_000
        let index = database.applier.applied.position.index.next
        var results: [AppliedEntry] = []
        try database.applier.apply(
            [
                Entry(
                    index: index, term: Term(1),
                    payload: .command(LogCommand.limits(limits).encoded()))
            ],
            reporting: { _ in false }, into: &results)
        guard case .failed(let text)? = try database.execute("PRAGMA integrity_check").first else {
            Issue.record("it ran")
            return
        }
        #expect(text.contains("needs more than 1000000 steps"))
    }

    /// A table of 8000 pages, and one of a row as long.
    private func widePages(steps: UInt64) throws -> Database {
        let database = try Database()
        for case .failed(let text) in try database.execute(
            "CREATE TABLE t(a)", "CREATE TABLE pages(a)", "CREATE TABLE long(a, b)",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000) "
                + "INSERT INTO pages SELECT zeroblob(3500) FROM n",
            "INSERT INTO long VALUES(zeroblob(32000000), 7)")
        {
            Issue.record("\(text)")
        }
        var change = WriteLimitsChange()
        change.steps = steps
        var results: [AppliedEntry] = []
        try database.applier.apply(
            [
                Entry(
                    index: database.applier.applied.position.index.next, term: Term(1),
                    payload: .command(LogCommand.limits(change).encoded()))
            ], reporting: { _ in false }, into: &results)
        return database
    }

    @Test(arguments: [
        ["INSERT INTO t SELECT count(*) FROM pages"], ["INSERT INTO t SELECT b FROM long"],
        ["BEGIN", "DELETE FROM pages", "ROLLBACK"], ["BEGIN", "DELETE FROM long", "ROLLBACK"],
        ["BEGIN", "DROP TABLE pages", "ROLLBACK"],
    ])
    func `Statements of a few steps that go through many pages end with the limit on steps`(
        texts: [String]
    ) throws {
        let outcomes = try [false, true].map { restarting in
            let database = try widePages(steps: 300_000)
            if restarting { database.applier = try Applier(path: database.applier.path) }
            let result = try database.apply(
                Command(
                    kind: .execute,
                    statements: (0..<40).flatMap { _ in texts.map { Statement($0) } },
                    stamp: stamp(database.applier.applied.position.index.next)))
            #expect(
                try database.rows("SELECT (SELECT count(*) FROM pages), count(*) FROM long")
                    == ["8000|1"])
            return result.statements.map { "\($0.outcome)" }
        }
        #expect(outcomes[0] == outcomes[1])
        #expect(outcomes[0].count == 40 * texts.count)
        // Behind BEGIN, where there is one.
        let place = texts.count / 2
        let (first, last) = (outcomes[0][place], outcomes[0][39 * texts.count + place])
        #expect(!first.contains("needs more"), "\(first)")
        #expect(last.contains("needs more than 300000 steps"), "\(last)")
    }

    /// SQLite counts their rows in one step.
    @Test(arguments: ["ANALYZE", "ANALYZE pages", "PRAGMA optimize"])
    func `Statistics cost steps by the pages of tables that have no index`(sql: String) throws {
        let empty = try Database()
        try empty.execute("CREATE TABLE t(a)", "CREATE TABLE pages(a)", "CREATE TABLE long(a, b)")
        let charges = try [empty, widePages(steps: 1_000_000_000)].map { database in
            let before = database.applier.session.budget.charged
            let outcomes = try database.execute(sql)
            #expect(outcomes == [.empty])
            return database.applier.session.budget.charged - before
        }
        #expect(charges[1] - charges[0] > 14_000, "\(charges)")
    }

    @Test func `VACUUM costs steps by the pages that it copies`() throws {
        let outcomes = try [false, true].map { restarting in
            let database = try widePages(steps: 2_000_000)
            if restarting { database.applier = try Applier(path: database.applier.path) }
            // It has the more to do, and is charged the same.
            try database.execute("DELETE FROM pages WHERE rowid % 2")
            if restarting { try database.execute("VACUUM") }
            let texts = Array(repeating: "VACUUM", count: 12) + ["INSERT INTO t VALUES(1)"]
            let result = try database.apply(
                Command(
                    kind: .execute, statements: texts.map { Statement($0) },
                    stamp: stamp(database.applier.applied.position.index.next)))
            return result.statements.map { "\($0.outcome)" }
        }
        #expect(outcomes[0] == outcomes[1])
        #expect(outcomes[0].count == 13)
        #expect(outcomes[0].first?.contains("needs more") == false)
        let last = outcomes[0].last ?? ""
        #expect(last.contains("needs more than 2000000 steps"), "\(last)")
    }

    @Test func `PRAGMA optimize costs the steps that its ANALYZE takes`() throws {
        var limits = WriteLimits.initial
        limits.steps = 4_000_000
        let indexes = (0..<20).map { "CREATE INDEX i\($0) ON t(a + \($0));" }.joined()
        let outcomes = try [false, true].map { restarting in
            let database = try Database(writes: limits)
            for case .failed(let text) in try database.execute(
                "CREATE TABLE t(a)", indexes,
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
                    + "INSERT INTO t SELECT i FROM n")
            {
                Issue.record("\(text)")
            }
            if restarting { database.applier = try Applier(path: database.applier.path) }
            let texts = Array(repeating: "PRAGMA optimize", count: 30)
            let result = try database.apply(
                Command(
                    kind: .execute, statements: texts.map { Statement($0) },
                    stamp: stamp(database.applier.applied.position.index.next)))
            #expect(
                try database.execute("INSERT INTO t VALUES(1)")
                    == [.changed(lastInsertID: 2001, rowsAffected: 1)])
            return result.statements.map(\.outcome)
        }
        #expect(outcomes[0] == outcomes[1])
        #expect(outcomes[0].count == 30)
        #expect(outcomes[0].first == .empty)
        let last = "\(outcomes[0].last ?? .empty)"
        #expect(last.contains("needs more than 4000000 steps"), "\(last)")
    }
}
