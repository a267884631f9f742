import CSQLite
import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// A statement that asks for more memory than SQLite has room for gets an error, the same on every
/// node; only what the machine lacks ends a node.
@Suite struct StatementSizeTests {
    private enum Way: CaseIterable {
        case single, batched, restarted
    }

    private struct Outcome: Equatable {
        var rows: [String]
        var answers: [CommandResult]
    }

    /// Applies requests, each an entry, as one kind of node does.
    private func apply(_ texts: [String], _ way: Way) throws -> Outcome {
        let database = try Database()
        let entries = texts.enumerated().map { (offset, text) in
            let index = LogIndex(UInt64(offset) + 1)
            let command = Command(
                kind: .request, statements: [Statement(text)], stamp: stamp(index))
            return entry(index, command)
        }
        var results: [AppliedEntry] = []
        switch way {
        case .batched:
            try database.applier.apply(entries, reporting: { _ in true }, into: &results)
        case .single, .restarted:
            for entry in entries {
                if way == .restarted { database.applier = try Applier(path: database.applier.path) }
                try database.applier.apply([entry], reporting: { _ in true }, into: &results)
            }
        }
        var answers = results.compactMap(\.result)
        for answer in answers.indices {
            for index in answers[answer].statements.indices {
                answers[answer].statements[index].nanoseconds = 0
            }
        }
        return Outcome(rows: try database.dump(), answers: answers)
    }

    private static let twelve =
        "twelve(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM twelve WHERE i < 12)"

    @Test(
        arguments: [
            (
                "INSERT INTO t SELECT length(json_group_array(hex(zeroblob(100000000)))) FROM twelve",
                "the statement needs more memory than"
            ),
            (
                "INSERT INTO t SELECT length(group_concat(hex(zeroblob(100000000)))) FROM twelve",
                "string or blob too big"
            ),
            ("INSERT INTO t SELECT zeroblob(300000000)", "string or blob too big"),
            ("UPDATE t SET a = hex(zeroblob(200000000))", "string or blob too big"),
        ])
    func `What a statement brings about by its own size is its error, and equal on every node`(
        statement: String, error: String
    ) throws {
        let texts = [
            "CREATE TABLE t(a); INSERT INTO t VALUES('before')",
            "WITH RECURSIVE \(Self.twelve) \(statement)",
            "INSERT INTO t VALUES('after') RETURNING rowid",
        ]
        let expected = try apply(texts, .single)
        guard case .failed(let text)? = expected.answers[1].statements.first?.outcome else {
            Issue.record("\(expected.answers)")
            return
        }
        #expect(text.hasPrefix(error), "\(text)")
        #expect(expected.rows.contains { $0.contains("after") })
        for way in Way.allCases where way != .single {
            #expect(try apply(texts, way) == expected, "\(way)")
        }
    }

    /// Seven million elements are fourteen megabytes of text.
    @Test(arguments: [200_000, 7_000_000])
    func `A list of many elements ends alike on every node`(count: Int) throws {
        let list = String(repeating: "1,", count: count - 1) + "2"
        let texts = [
            "CREATE TABLE t(a); INSERT INTO t VALUES(2)",
            "INSERT INTO t SELECT a + 1 FROM t WHERE a IN (\(list))",
            "INSERT INTO t VALUES('after') RETURNING rowid",
        ]
        let expected = try apply(texts, .batched)
        let outcome = expected.answers[1].statements.first?.outcome
        if count <= 200_000 {
            #expect(outcome == .changed(lastInsertID: 2, rowsAffected: 1))
        } else if case .failed(let text)? = outcome {
            #expect(
                text.hasPrefix("the statement is too large") || text.hasPrefix("the request needs"),
                "\(text)")
        }
        #expect(expected.rows.contains { $0.contains("after") })
        #expect(try apply(texts, .restarted) == expected)
    }

    @Test func `A statement is counted from its first word to its end`() {
        let rest = "; SELECT 7 OR 8" + String(repeating: " ", count: 5000)
        func size(_ sql: String) -> StatementSize {
            Array((sql + rest).utf8).withUnsafeBytes { StatementSize($0) }
        }
        let query = "SELECT (1 AND a) OR 'x', sum(a) OVER (ORDER BY b)"
        for front in ["", ";", " ;/* ; */-- ;\n;", "EXPLAIN "] {
            let counted = size(front + query)
            #expect(counted.terms == 2, "\(front)")
            #expect(counted.constants == 2, "\(front)")
            #expect(counted.cost.steps > 0, "\(front)")
        }
        let trigger =
            "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1 AND 2; SELECT 3 OR 4; END"
        for front in ["", ";", "EXPLAIN QUERY PLAN "] {
            let counted = size(front + trigger)
            #expect(counted.terms == 2, "\(front)")
            #expect(counted.constants == 4, "\(front)")
        }
    }

    @Test(arguments: [
        ("DELETE FROM t WHERE (a, b, c) = (1, 2, 3)", 2),
        ("DELETE FROM t WHERE ((a, b, c)) IS NOT ((1, 2, 3))", 2),
        ("DELETE FROM t WHERE (SELECT a, b, c) = (1, 2, 3)", 2),
        ("DELETE FROM t WHERE ((SELECT a, b, c)) IS ((1, 2, 3))", 2),
        ("DELETE FROM t WHERE NOT (a, b, c) IN (SELECT a, b, c FROM t)", 2),
        ("SELECT 1 FROM t JOIN u ON (a, b) == (c, d) WHERE x AND (a, b) > (f(1, 2), d)", 3),
        ("UPDATE t SET (a, b, c) = (1, 2, 3), (d, e) = (4, 5)", 0),
        ("SELECT 1 FROM t WHERE a IN (1, 2, 3) AND f(1, 2, 3) = g(1, 2, 3)", 1),
        ("INSERT INTO t(a, b, c) VALUES (1, 2, 3), (4, 5, 6)", 0),
    ])
    func `Row values that are compared count by their members`(sql: String, terms: Int) {
        let text = sql + String(repeating: " ", count: 5000)
        let size = Array(text.utf8).withUnsafeBytes { StatementSize($0) }
        #expect(size.terms == terms)
    }

    @Test func `A lack of memory is this node's own, a statement's size is not`() throws {
        let database = try Database()
        let connection = try SessionSetup.openReader(database.applier.path)
        let error = SQLiteError(extendedCode: SQLITE_NOMEM, message: "out of memory")
        let before = Shortages.met
        #expect(
            ApplyFault.judging(error, during: "a test", on: connection, since: before) == nil)
        csqlite_inject_memory_fault(0)
        #expect(throws: SQLiteError.self) {
            _ = try connection.text("SELECT hex(zeroblob(100000))")
        }
        csqlite_inject_memory_fault(-1)
        #expect(
            ApplyFault.judging(error, during: "a test", on: connection, since: before)
                == .storage(
                    operation: "a test", code: SQLITE_NOMEM, message: "out of memory"))
        #expect(
            ApplyFault.judging(error, during: "a test", on: connection, since: .met) == nil)
    }

    @Test(arguments: [false, true])
    func `A lack of memory while a statement runs is no answer`(isBound: Bool) throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        defer { csqlite_inject_memory_fault(-1) }
        let index = database.applier.applied.position.index.next
        let statement =
            isBound
            ? Statement(
                "INSERT INTO t SELECT length(?)",
                positional: [.text(String(repeating: "a", count: 200_000))])
            : Statement("INSERT INTO t SELECT length(hex(zeroblob(100000)))")
        let command = Command(kind: .execute, statements: [statement])
        var faults = 0
        var results: [AppliedEntry] = []
        var allocation: Int64 = 0
        while results.isEmpty, allocation < 1000 {
            csqlite_inject_memory_fault(allocation)
            do throws(ApplyFault) {
                try database.applier.apply(
                    [entry(index, command)], reporting: { _ in true }, into: &results)
            } catch {
                guard case .storage(_, let code, _) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(code & 0xFF == SQLITE_NOMEM)
                faults += 1
            }
            csqlite_inject_memory_fault(-1)
            allocation += 1
        }
        #expect(faults > 3)
        #expect(
            results.first?.result?.statements.map(\.outcome)
                == [.changed(lastInsertID: 1, rowsAffected: 1)])
        #expect(try database.rows("SELECT a FROM t") == ["200000"])
    }
}
