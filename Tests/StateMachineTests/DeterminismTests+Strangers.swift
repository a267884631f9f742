import Raft
import Testing
import Wire

@testable import StateMachine

/// What strangers to the daemon would try, and what once went wrong.
extension DeterminismTests {
    private func lines(_ answer: CommandResult?) throws -> [String] {
        guard case .rows(let rows)? = answer?.statements.last?.outcome else { return ["no rows"] }
        return try rows.lines()
    }

    @Test func `What a full-text table holds in memory goes with what is rolled back`() throws {
        let insert = "INSERT INTO f(w) VALUES('one two'), ('two three'), ('three four')"
        let outcome = try expectEqual(
            requests([
                "CREATE VIRTUAL TABLE f USING fts5(w, prefix='2'); CREATE TABLE t(a)", insert,
                "BEGIN; INSERT INTO f(f, rank) VALUES('automerge', 2); \(insert); ROLLBACK",
                insert,
                "SAVEPOINT s; INSERT INTO f(f, rank) VALUES('pgsz', 64); ROLLBACK TO s; RELEASE s",
                insert, "BEGIN; \(insert); SELECT nothing; COMMIT", insert,
                "BEGIN; \(insert); CREATE INDEX i ON t(a); ROLLBACK", insert,
                "BEGIN; \(insert); SAVEPOINT x; INSERT INTO f(f) VALUES('delete-all'); ROLLBACK TO x; COMMIT",
                "INSERT INTO f(rowid, w) VALUES(1, 'again')", insert,
                "INSERT INTO f(f) VALUES('integrity-check')", "SELECT count(*) FROM f('two')",
            ]))
        #expect(try lines(outcome.answers.last) == ["12"])
    }

    @Test func `A REINDEX that had nothing to do does its work when there is something`() throws {
        let outcome = try expectEqual(
            requests([
                "CREATE TABLE t(a, b)", "REINDEX", "REINDEX", "INSERT INTO t VALUES(2, 1), (1, 2)",
                "CREATE INDEX i ON t(a)", "REINDEX", "BEGIN; REINDEX; REINDEX; COMMIT",
                "DROP INDEX i", "REINDEX", "REINDEX i", "REINDEX t", "CREATE INDEX i ON t(b)",
                "REINDEX t", "REINDEX i", "PRAGMA integrity_check",
            ]))
        #expect(try lines(outcome.answers.last) == ["ok"])
        let failures = outcome.answers.map { $0.statements.last?.outcome }
        #expect(failures[9] == .failed("unable to identify the object to be reindexed"))
        #expect(failures[13] == .empty)
    }

    @Test func `An error says what is wrong with its own statement, whatever failed before`() throws
    {
        let texts = [
            ("CREATE TABLE t(a CHECK(a > 0))", nil), ("ATTACH 'x' AS y", "ATTACH is not supported"),
            ("SELECT absent", "no such column: absent"), ("INSERT INTO t VALUES(-1)", "CHECK"),
            ("PRAGMA data_store_directory='x'", "is not supported"),
            ("INSERT INTO t VALUES(1, 2)", "has 1 columns but 2"),
            ("INSERT INTO t SELECT sqlite_version()", "nodes may differ"),
            ("INSERT INTO t VALUES(0)", "CHECK"), ("SELECT abs(-9223372036854775808)", "overflow"),
            ("INSERT INTO t VALUES(1)", nil), ("SELEC", "syntax error"), ("SELECT a FROM t", nil),
            ("DROP TABLE sqlite_sequence", "no such table"), ("SELECT json('{')", "malformed JSON"),
        ]
        // Twice: the second time statements are kept ones.
        let outcome = try expectEqual(requests((texts + texts.dropFirst()).map(\.0)))
        for (text, answer) in zip(texts + texts.dropFirst(), outcome.answers) {
            switch (text.1, answer.statements.last?.outcome) {
            case (let words?, .failed(let message)?):
                #expect(message.contains(words), "\(text.0): \(message)")
            case (nil, .failed(let message)?): Issue.record("\(text.0): \(message)")
            case (let words?, _): Issue.record("\(text.0) didn't fail: \(words)")
            case (nil, _): break
            }
        }
    }

    /// Each list is applied in all ways; whether a statement succeeds is not the question.
    private static let strange: [[String]] = [
        [
            // With ten tables the order of SQLite's hash changes.
            "CREATE TABLE t1(a); CREATE TABLE t2(a); CREATE TABLE t3(a); CREATE TABLE t4(a); CREATE TABLE t5(a)",
            "CREATE TABLE t6(a INTEGER PRIMARY KEY AUTOINCREMENT)",
            "INSERT INTO t6 VALUES(1); INSERT INTO t1 VALUES(1)",
            "ANALYZE", "ANALYZE", "INSERT INTO t2 SELECT tbl FROM sqlite_stat1", "ANALYZE; ANALYZE",
            "BEGIN; ANALYZE; DELETE FROM sqlite_stat1; ANALYZE; COMMIT; PRAGMA optimize; SELECT * FROM sqlite_stat1",
        ],
        [
            "CREATE TABLE t(id INTEGER PRIMARY KEY DESC, a, b UNIQUE ON CONFLICT REPLACE); CREATE TABLE log(x)",
            "CREATE TRIGGER d BEFORE DELETE ON t BEGIN INSERT INTO log VALUES(changes() || ' ' || total_changes() || ' ' || last_insert_rowid()); END",
            "CREATE TRIGGER i AFTER INSERT ON t WHEN new.id < 40 BEGIN INSERT INTO t(a, b) VALUES(new.a, new.b + 1); INSERT INTO log VALUES(last_insert_rowid()); END",
            "INSERT INTO t(a, b) VALUES(1, 1), (2, 1), (3, 2)",
            "PRAGMA recursive_triggers=ON; REPLACE INTO t VALUES(1, 5, 1), (2, 6, 2); SELECT changes(), last_insert_rowid()",
            "REPLACE INTO t VALUES(1, 5, 1) RETURNING id, changes()",
            "SELECT changes(), total_changes(), last_insert_rowid()",
        ],
        [
            "CREATE TABLE t(a, b, c); CREATE UNIQUE INDEX p ON t(a) WHERE b > 0; CREATE UNIQUE INDEX q ON t(c)",
            "INSERT INTO t VALUES(1, 1, 1), (1, 0, 2), (2, 2, 3) ON CONFLICT(a) WHERE b > 0 DO UPDATE SET b = -b, c = c + 10 ON CONFLICT DO NOTHING RETURNING *",
            "INSERT INTO t SELECT a, 1, c FROM t WHERE true ON CONFLICT(c) DO UPDATE SET a = excluded.a + 1 WHERE a < 9 ON CONFLICT DO UPDATE SET c = random() RETURNING a, b",
            "UPDATE t SET b = 1 ORDER BY rowid DESC LIMIT 1", "DELETE FROM t LIMIT 1",
        ],
        [
            "PRAGMA foreign_keys=ON; CREATE TABLE p(a PRIMARY KEY); CREATE TABLE c(a REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
            "BEGIN; INSERT INTO c VALUES(1); COMMIT; SELECT count(*) FROM c",
            "BEGIN; INSERT INTO c VALUES(1); SAVEPOINT s; INSERT INTO p VALUES(1); RELEASE s; COMMIT",
            "BEGIN; DELETE FROM p; COMMIT; DROP TABLE c; COMMIT", "DROP TABLE p",
            "SELECT count(*) FROM c",
        ],
        [
            "CREATE TABLE t(a)", "CREATE INDEX i ON t(random())",
            "CREATE INDEX i ON t(datetime(a))",
            "CREATE TABLE g(a, b AS (random()))",
            "CREATE TABLE g(a, b AS (datetime('now')) STORED)",
            "CREATE TABLE h(a, b AS (datetime(a)))", "INSERT INTO h(a) VALUES('now')",
            "SELECT b IS NOT NULL FROM h",
            "CREATE TABLE k(a CHECK(a < julianday('now')), b DEFAULT (total_changes()), c DEFAULT (hex(randomblob(2))), d DEFAULT CURRENT_TIMESTAMP)",
            "INSERT INTO k(a) VALUES(1), (2)", "SELECT * FROM k",
            "CREATE TABLE m(a, b AS (last_insert_rowid()))", "INSERT INTO m(a) VALUES(1)",
            "CREATE TABLE n(a, b AS (json_extract(a, '$.x')), c AS (printf('%p', b)), d AS (b COLLATE NOCASE))",
            "INSERT INTO n(a) VALUES('{\"x\":1}'), ('{}'), ('{')", "SELECT * FROM n",
        ],
        [
            "CREATE TABLE t(a)", "VACUUM INTO '/tmp/never'", "ATTACH ':memory:' AS m",
            "CREATE TEMP TABLE x(a)",
            "CREATE TABLE temp.y(a)", "CREATE VIEW temp.v AS SELECT 1",
            "SELECT * FROM temp.sqlite_schema", "DROP TABLE temp.nothing",
            "SELECT load_extension('x')", "INSERT INTO t SELECT sqlite_compileoption_get(1)",
            "INSERT INTO t SELECT sqlite_compileoption_used('X')",
            "CREATE VIEW w AS SELECT name FROM pragma_function_list",
            "INSERT INTO t SELECT name FROM w",
            "CREATE VIEW z AS SELECT name FROM pragma_table_list UNION SELECT value FROM json_each('[3,1,2]')",
            "INSERT INTO t SELECT * FROM z", "SELECT a FROM t",
            "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT RAISE(IGNORE) WHERE new.a = 1; SELECT RAISE(ROLLBACK, 'r') WHERE new.a = 2; SELECT RAISE(FAIL, 'f') WHERE new.a = 3; END",
            "INSERT INTO t VALUES(0), (1), (4)", "INSERT INTO t VALUES(5), (2)",
            "INSERT INTO t VALUES(6), (3)",
            "BEGIN; INSERT INTO t VALUES(7); INSERT INTO t VALUES(2); INSERT INTO t VALUES(8); COMMIT",
            "SELECT a FROM t",
        ],
        [
            "CREATE TABLE t(a REAL, b, c TEXT); INSERT INTO t VALUES(-0.0, 9e999 - 9e999, 1e308 * 10), (9e999, -9e999, 0.1 + 0.2), ('1e3', x'', 5e-324)",
            "CREATE INDEX i ON t(a, b DESC)",
            "SELECT a, b, c, a || '', quote(b), typeof(a), -a FROM t ORDER BY a, b",
            "SELECT sum(a), avg(a), total(b), max(c), group_concat(a) FROM t",
            "INSERT INTO t SELECT sum(a), exp(1), ln(2) FROM t GROUP BY b",
            "UPDATE t SET a = a * 1e300, b = CAST(a AS INTEGER)",
            "SELECT printf('%.20g|%!.17g|%e', a, b, c), round(a, 3), CAST(c AS REAL) FROM t",
        ],
        [
            "CREATE TABLE t(a COLLATE nosuch)", "CREATE TABLE t(a)",
            "CREATE INDEX i ON t(a COLLATE nosuch)", "SELECT a FROM t ORDER BY a COLLATE nosuch",
            "ALTER TABLE t ADD b GENERATED ALWAYS AS (a || 'x') VIRTUAL",
            "CREATE VIEW v AS SELECT b AS c FROM t", "ALTER TABLE t RENAME COLUMN b TO sqlite_b",
            "ALTER TABLE t RENAME TO sqlite_t", "ALTER TABLE t RENAME TO pragma_table_info",
            "SELECT * FROM v", "PRAGMA table_info(v)", "DROP TABLE pragma_table_info",
            "SELECT * FROM v", "ALTER TABLE v RENAME TO w",
            "PRAGMA legacy_alter_table=ON; CREATE TABLE t(b); ALTER TABLE t RENAME TO u; SELECT * FROM v",
            "REINDEX", "ANALYZE", "PRAGMA integrity_check",
        ],
        [
            "CREATE TABLE t(a); INSERT INTO t VALUES(3), (1), (2), (1)",
            "CREATE TABLE o(k INTEGER PRIMARY KEY, v)",
            "INSERT INTO o(v) SELECT value FROM json_each((SELECT json_group_array(a) FROM t))",
            "INSERT INTO o(v) SELECT row_number() OVER (ORDER BY a) || a FROM t",
            "INSERT INTO o(v) SELECT a FROM t UNION SELECT a + 1 FROM t",
            "INSERT INTO o(v) SELECT a FROM t GROUP BY a HAVING count(*) > 0",
            "INSERT INTO o(v) SELECT fullkey FROM json_tree('{\"b\":[1,{\"a\":2}],\"a\":3}')",
            "CREATE INDEX ta ON t(a); INSERT INTO o(v) SELECT DISTINCT a FROM t",
            "CREATE VIEW g AS SELECT json_group_object(a, a) AS j FROM t; INSERT INTO o(v) SELECT j FROM g",
            "INSERT INTO o(v) SELECT first_value(a) OVER (PARTITION BY a % 2) FROM t; SELECT * FROM o",
        ],
        [
            "CREATE TABLE t(a)",
            "BEGIN; CREATE TABLE u(a); INSERT INTO u VALUES(1); PRAGMA user_version=5; ROLLBACK; PRAGMA user_version",
            "BEGIN; PRAGMA foreign_keys=ON; PRAGMA foreign_keys; COMMIT",
            "SAVEPOINT a; SAVEPOINT A; INSERT INTO t VALUES(1); ROLLBACK TO a; RELEASE A; RELEASE a",
            "BEGIN; ALTER TABLE t ADD b; INSERT INTO t VALUES(1, 2); SAVEPOINT s; DROP TABLE t; ROLLBACK TO s; COMMIT",
            "SELECT * FROM t",
            "BEGIN; VACUUM; COMMIT",
            "PRAGMA optimize; PRAGMA incremental_vacuum; PRAGMA wal_checkpoint",
            "PRAGMA temp.user_version=5; PRAGMA temp.application_id=6; PRAGMA temp.page_size=512",
            "INSERT INTO t SELECT user_version, 1 FROM pragma_user_version('temp')",
            "INSERT INTO t SELECT name, 1 FROM pragma_table_info('t', 'temp')",
            "PRAGMA temp.user_version; PRAGMA temp.page_count",
            "EXPLAIN INSERT INTO t VALUES(1, 2); SELECT count(*) FROM t",
            "WITH sqlite_schema(name) AS (VALUES('mine')) SELECT name FROM sqlite_schema",
            "WITH sqlite_master AS (SELECT 1 AS x) INSERT INTO t SELECT x, 0 FROM sqlite_master",
            "CREATE TEMP VIEW sqlite_schema AS SELECT 1", "CREATE VIEW sqlite_master AS SELECT 1",
            "SELECT name FROM main.sqlite_master",
        ],
    ]

    @Test(arguments: strange.indices)
    func `What a stranger would try has one outcome on every node`(place: Int) throws {
        let outcome = try expectEqual(requests(Self.strange[place]))
        #expect(outcome.answers.count == Self.strange[place].count)
        let database = try Database(foreignKeys: true)
        for sql in Self.strange[place] { try database.execute(sql) }
        database.applier = try Applier(path: database.applier.path)
        #expect(try database.copied().dump() == (try database.dump()))
    }
}
