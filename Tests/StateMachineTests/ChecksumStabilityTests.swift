import CSQLite
import Raft
import Testing
import Wire

@testable import StateMachine

/// Nodes with the same entries have the same trace, whatever else their pasts are.
@Suite struct ChecksumStabilityTests {
    /// How a node comes to its entries.
    private enum Past: CaseIterable {
        case oneByOne
        case oneBatch
        /// Two batches, so that something is kept from the first.
        case twoBatches
        case restarted
        /// Between the entries something was tried that had to be undone.
        case unlucky
    }

    private struct Node {
        var trace: Digest?
        var rows: [String]
    }

    private func node(_ entries: [[String]], _ past: Past) throws -> Node {
        var limits = WriteLimits.initial
        limits.steps = 200_000
        let database = try Database(writes: limits)
        try database.restartTrace()
        let first = database.applier.applied.position.index.next
        let all = entries.enumerated().map { place, texts in
            let index = first.advanced(by: place)
            return entry(
                index,
                Command(
                    kind: .request, statements: texts.map { Statement($0) }, stamp: stamp(index)))
        }
        switch past {
        case .oneByOne: for entry in all { try database.take([entry]) }
        case .oneBatch: try database.take(all)
        case .twoBatches:
            try database.take(Array(all[..<(all.count / 2)]))
            try database.take(Array(all[(all.count / 2)...]))
        case .restarted:
            for entry in all {
                try database.take([entry])
                database.applier = try Applier(path: database.applier.path)
            }
        case .unlucky:
            for entry in all {
                WriteFault.full(after: 0)
                try? database.take([entry])
                WriteFault.end()
                try database.take([entry])
            }
        }
        return Node(trace: database.applier.applied.trace, rows: try database.dump())
    }

    private static let rows =
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50) INSERT INTO t SELECT i, i % 7 FROM n"
    private static let table = "CREATE TABLE t(a, b)"

    private static let histories: [String: [[String]]] = [
        "a table emptied behind statistics, and VACUUM": [
            [table], [rows], ["ANALYZE"], ["DELETE FROM t"], ["VACUUM"], [rows],
        ],
        "a table emptied where a transaction was rolled back": [
            [table], [rows], ["BEGIN; CREATE INDEX i ON t(a); ROLLBACK"], ["DELETE FROM t"],
            [rows], ["BEGIN; ALTER TABLE t RENAME TO u; ANALYZE; ROLLBACK"], ["DELETE FROM t"],
            ["VACUUM"],
        ],
        "a statement that rolls its transaction back": [
            ["CREATE TABLE t(a UNIQUE, b)"], [rows],
            ["BEGIN; CREATE INDEX i ON t(b); INSERT OR ROLLBACK INTO t VALUES(1, 1); COMMIT"],
            ["DELETE FROM t"], ["INSERT OR ROLLBACK INTO t VALUES(1, 1), (1, 2)"],
            ["DELETE FROM t"],
            [rows], ["DELETE FROM t"],
        ],
        "settings of a request": [
            [table], [rows], ["PRAGMA foreign_keys=ON", "DELETE FROM t"], [rows],
            ["DELETE FROM t"], [rows], ["PRAGMA foreign_keys=ON", "DELETE FROM t", rows],
            ["DELETE FROM t"],
        ],
        "savepoints that are rolled back": [
            [table],
            ["BEGIN; \(rows); SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; DELETE FROM t; COMMIT"],
            [rows], ["BEGIN; SAVEPOINT s; DROP TABLE t; ROLLBACK TO s; DELETE FROM t; COMMIT"],
            ["VACUUM"],
        ],
        "rows that replace others": [
            ["CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)"],
            ["REPLACE INTO t VALUES(1, 1), (2, 2), (3, 1), (2, 1)"],
            ["UPDATE OR REPLACE t SET b = 5"], ["INSERT INTO nothing VALUES(1)"],
            ["INSERT INTO t VALUES(9, 9), (9, 8)"], ["INSERT OR FAIL INTO t VALUES(8, 8), (8, 7)"],
            ["DELETE FROM t"], ["VACUUM"],
        ],
        "tables without rowids": [
            ["CREATE TABLE t(a PRIMARY KEY, b) WITHOUT ROWID"], [rows],
            ["REPLACE INTO t VALUES(3, 'x')"], ["UPDATE t SET a = a + 100"], ["VACUUM"],
            ["DELETE FROM t"], [rows], ["VACUUM"], ["DELETE FROM t"],
        ],
        "full-text and R*Tree tables": [
            [
                "CREATE VIRTUAL TABLE f USING fts5(x)",
                "CREATE VIRTUAL TABLE r USING rtree(id, a, b)",
            ],
            ["INSERT INTO f VALUES('one'), ('two')", "INSERT INTO r VALUES(1, 0, 1), (2, 1, 2)"],
            ["INSERT INTO r VALUES(1, 5, 1)"], ["DELETE FROM f"], ["DELETE FROM r"],
            ["INSERT INTO f VALUES('three')", "INSERT INTO f(f) VALUES('rebuild')"],
            ["INSERT INTO f(f) VALUES('delete-all')"], ["VACUUM"],
            ["INSERT INTO f(f) VALUES('optimize')"],
        ],
        "FTS4 tables that are emptied": [
            ["CREATE VIRTUAL TABLE f USING fts4(x)"], ["INSERT INTO f VALUES('one'), ('two')"],
            ["DELETE FROM f"], ["INSERT INTO f VALUES('three')"], ["DELETE FROM f"], ["VACUUM"],
            ["INSERT INTO f(f) VALUES('rebuild')"],
        ],
        "a schema that changes": [
            [table], [rows], ["ALTER TABLE t ADD COLUMN c DEFAULT 7"], ["UPDATE t SET c = a"],
            ["ALTER TABLE t DROP COLUMN b"], ["DELETE FROM t"], ["DROP TABLE t"],
            ["CREATE TABLE t(a, b)"], [rows], ["VACUUM"], ["DELETE FROM t"],
        ],
        "triggers that empty tables": [
            [table], ["CREATE TABLE u(x)"],
            ["CREATE TRIGGER g AFTER DELETE ON t BEGIN DELETE FROM u; END"], [rows],
            ["INSERT INTO u SELECT a FROM t"], ["DELETE FROM t"], ["ANALYZE"], ["DELETE FROM u"],
            ["VACUUM"], [rows], ["DELETE FROM t"],
        ],
        "a write that the budget ends half-way": [
            [table],
            [
                "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO t SELECT i, hex(zeroblob(3000)) FROM n"
            ],
            [rows], ["DELETE FROM t"], ["VACUUM"],
        ],
    ]

    @Test(arguments: histories.keys.sorted())
    func `The trace follows from the entries alone, not from batches, restarts or rollbacks`(
        name: String
    ) throws {
        let history = try #require(Self.histories[name])
        let expected = try node(history, .oneByOne)
        #expect(expected.trace != nil)
        for past in Past.allCases where past != .oneByOne {
            let found = try node(history, past)
            #expect(found.rows == expected.rows, "\(past)")
            #expect(found.trace == expected.trace, "\(past)")
        }
    }

    @Test(arguments: ["fts4", "fts5"])
    func `What modules keep from before a trace began does not show in it`(module: String) throws {
        func trace(restarting: Bool) throws -> Digest? {
            let database = try Database()
            func empty() throws {
                try database.execute("INSERT INTO f VALUES('one'), ('two')")
                try database.execute("DELETE FROM f WHERE rowid = 1", "DELETE FROM f")
                if module == "fts5" {
                    try database.execute("INSERT INTO f(f) VALUES('delete-all')")
                }
            }
            try database.execute("CREATE VIRTUAL TABLE f USING \(module)(x)")
            try empty()
            if restarting { database.applier = try Applier(path: database.applier.path) }
            try database.restartTrace()
            try empty()
            return database.applier.applied.trace
        }
        let (old, fresh) = (try trace(restarting: false), try trace(restarting: true))
        #expect(old == fresh)
        #expect(old != nil)
    }
}

extension Database {
    fileprivate func take(_ entries: [Entry]) throws {
        var results: [AppliedEntry] = []
        try applier.apply(entries, reporting: { _ in true }, into: &results)
    }

    /// A marker as the next entry, from which on rows are traced.
    fileprivate func restartTrace() throws {
        let marker = ChecksumMarker(tracing: .restart)
        try take([
            Entry(
                index: applier.applied.position.index.next, term: Term(1),
                payload: .command(LogCommand.checksum(marker).encoded()))
        ])
    }
}
