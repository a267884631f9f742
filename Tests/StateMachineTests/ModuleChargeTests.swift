import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// What a statement is charged follows from the log and the database, not from what modules of virtual
/// tables keep in memory: else a request near its limit would end differently on a node that restarted.
@Suite(.serialized) struct ModuleChargeTests {
    private static let numbers =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "

    private static let schema = [
        "CREATE TABLE t(a)",
        "CREATE VIRTUAL TABLE f USING fts5(a, b, prefix='2')",
        "CREATE VIRTUAL TABLE porter USING fts5(a, tokenize='porter ascii')",
        "CREATE VIRTUAL TABLE tri USING fts5(a, tokenize='trigram')",
        "CREATE VIRTUAL TABLE odd USING fts5(a, tokenize=\"unicode61 separators '0123456789' categories 'Co'\")",
        "CREATE VIRTUAL TABLE less USING fts5(a, content='', detail=none)",
        "CREATE VIRTUAL TABLE words USING fts5vocab('f', 'row')",
        "CREATE VIRTUAL TABLE f3 USING fts3(a)",
        "CREATE VIRTUAL TABLE f4 USING fts4(a, b, prefix='2', tokenize=porter)",
        "CREATE VIRTUAL TABLE aux USING fts4aux(f4)",
        "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, +note)",
        "CREATE TRIGGER tf AFTER INSERT ON t WHEN new.a = 'fire' BEGIN INSERT INTO f VALUES('fired', 'shot'); END",
    ]

    private static let uses = [
        numbers + "INSERT INTO f SELECT 'one k' || i, 'two ' || (i % 7) FROM n",
        numbers + "INSERT INTO f4(docid, a, b) SELECT 5000 - i, 'one k' || i, 'two' FROM n",
        numbers + "INSERT INTO f3(docid, a) SELECT 5000 - i, 'one k' || i FROM n",
        numbers + "INSERT INTO r SELECT i, i % 400, i % 400 + 5, 'n' || i FROM n",
        numbers + "INSERT INTO porter SELECT 'running k' || i FROM n",
        numbers + "INSERT INTO tri SELECT 'abcdef k' || i FROM n",
        numbers + "INSERT INTO odd SELECT 'abcdef k' || i FROM n",
        numbers + "INSERT INTO less SELECT 'abcdef k' || i FROM n",
        "INSERT INTO t SELECT count(*) FROM f('one AND k3')",
        "INSERT INTO t SELECT count(*) FROM f('two')",
        "INSERT INTO t SELECT count(*) FROM f('k1*')",
        "INSERT INTO t SELECT count(*) FROM porter('runs')",
        "INSERT INTO t SELECT count(*) FROM tri('bcd')",
        "INSERT INTO t SELECT count(*) FROM odd('abcdef')",
        "INSERT INTO t SELECT count(*) FROM less('abcdef')",
        "INSERT INTO t SELECT count(*) FROM words",
        "INSERT INTO t SELECT count(*) FROM aux",
        "INSERT INTO t SELECT length(matchinfo(f4)) FROM f4 WHERE f4 MATCH 'one' LIMIT 5",
        "INSERT INTO t SELECT length(offsets(f3)) FROM f3 WHERE f3 MATCH 'one' LIMIT 5",
        "INSERT INTO t SELECT snippet(f, 0, '<', '>', '.', 4) FROM f('one') LIMIT 5",
        "INSERT INTO t SELECT bm25(f) FROM f('one') LIMIT 3",
        "INSERT INTO t SELECT count(*) FROM r WHERE x0 > 5 AND x1 < 40",
        "INSERT INTO t VALUES('fire')",
        "INSERT INTO f VALUES('single', 'row')", "INSERT INTO f4 VALUES('single', 'row')",
        "INSERT INTO f3 VALUES('single row')", "INSERT INTO r VALUES(100000, 1, 2, 'x')",
        "UPDATE f SET a = 'other' WHERE rowid = 5", "UPDATE f4 SET a = 'other' WHERE docid = 3000",
        "UPDATE r SET x0 = 0 WHERE id = 7", "DELETE FROM f WHERE rowid = 6",
        "DELETE FROM f4 WHERE docid = 4000", "DELETE FROM r WHERE id = 8",
        "INSERT INTO f(f) VALUES('optimize')", "INSERT INTO t SELECT count(*) FROM f('two')",
        "INSERT INTO f(f, rank) VALUES('merge', 10)", "INSERT INTO t SELECT count(*) FROM f('two')",
        "INSERT INTO f4(f4) VALUES('optimize')", "INSERT INTO f4(f4) VALUES('merge=10,2')",
        "INSERT INTO f4(f4) VALUES('automerge=4')", "INSERT INTO f4 VALUES('single', 'row')",
        "INSERT INTO f3(f3) VALUES('automerge=4')",
        numbers + "INSERT INTO f3(docid, a) SELECT 10000 - i, 'one k' || i FROM n",
        numbers + "INSERT INTO f4(docid, a, b) SELECT 10000 - i, 'one k' || i, 'two' FROM n",
        "INSERT INTO f3(f3) VALUES('rebuild')", "INSERT INTO f(f) VALUES('rebuild')",
        "INSERT INTO f(f) VALUES('integrity-check')",
        "INSERT INTO f4(f4) VALUES('integrity-check')",
        "INSERT INTO less(less) VALUES('integrity-check')",
        "INSERT INTO f(f, rank) VALUES('pgsz', 64)",
        "INSERT INTO f(f, rank) VALUES('automerge', 2)",
        numbers + "INSERT INTO f SELECT 'three k' || i, 'four ' || (i % 7) FROM n",
        "INSERT INTO f VALUES('single', 'row')", "INSERT INTO t SELECT count(*) FROM f('four')",
        "INSERT INTO less(less) VALUES('delete-all')", "INSERT INTO less VALUES('a')",
        "INSERT INTO t SELECT count(*) FROM less('a')", "DELETE FROM f", "DELETE FROM r",
        "INSERT INTO f VALUES('single', 'row')", "INSERT INTO r VALUES(100000, 1, 2, 'x')",
        "PRAGMA user_version=7", "CREATE TABLE z(a)", "REINDEX", "DROP TABLE z",
        "BEGIN; INSERT INTO t VALUES(1); ROLLBACK", "BEGIN; CREATE TABLE z(a); ROLLBACK",
        "BEGIN; SAVEPOINT s; CREATE TABLE z(a); ROLLBACK TO s; COMMIT",
    ]

    private func command(_ sql: String, _ index: LogIndex) -> Entry {
        entry(
            index, Command(kind: .execute, statements: [Statement(sql)], stamp: stamp(index)))
    }

    @Test
    func `A statement is charged the same on a connection that is old and on one that is new`()
        throws
    {
        let (old, new) = (try Database(), try Database())
        for sql in Self.schema {
            for database in [old, new] {
                let outcomes = try database.execute(sql)
                for case .failed(let text) in outcomes { Issue.record("\(sql): \(text)") }
            }
        }
        for sql in Self.uses {
            new.applier = try Applier(path: new.applier.path)
            var charges: [Int] = []
            for database in [old, new] {
                let before = database.applier.session.budget.charged
                let outcomes = try database.execute(sql)
                for case .failed(let text) in outcomes { Issue.record("\(sql): \(text)") }
                charges.append(database.applier.session.budget.charged - before)
            }
            #expect(charges[0] == charges[1], "\(sql)")
        }
        #expect(try old.dump() == new.dump())
    }

    private static func terms(_ count: Int, _ separator: String) -> String {
        (0..<count).map { "\($0)" }.joined(separator: separator)
    }

    private static let list = "CREATE TABLE w(a CHECK(a NOT IN (\(terms(2500, ",")))))"
    private static let views: [String] = (0..<30).map {
        "CREATE VIEW v\($0) AS SELECT \(terms(100, "+"))"
    }
    private static let additions: [[String]] = [
        [list], views, ["BEGIN", list, "ROLLBACK"],
        ["BEGIN", "SAVEPOINT s", list, "ROLLBACK TO s", "COMMIT"],
        [list, "DROP TABLE w", list], [list, "DROP TABLE w"],
        ["DROP TABLE t; CREATE TABLE t(a); \(list)"],
        ["CREATE VIRTUAL TABLE f USING fts5(a)", list],
        [list, "CREATE INDEX i ON w(a)", "ANALYZE"],
    ]

    /// How many constants the schema has decides whether those of a statement are made once or in each row.
    @Test(arguments: additions)
    func `Constants that come into the schema show in charges at once`(schema: [String]) throws {
        let (old, new) = (try Database(), try Database())
        for database in [old, new] {
            try database.execute("CREATE TABLE t(a)")
            let result = try database.apply(
                Command(
                    kind: .execute, statements: schema.map { Statement($0) },
                    stamp: stamp(database.applier.applied.position.index.next)))
            for case .failed(let text) in result.statements.map(\.outcome) {
                Issue.record("\(text)")
            }
        }
        new.applier = try Applier(path: new.applier.path)
        let sum = (0..<600).map { "(i+\($0))" }.joined(separator: "+")
        let charges = try [old, new].map { database in
            let before = database.applier.session.budget.charged
            let outcomes = try database.execute(
                Self.numbers + "INSERT INTO t SELECT \(sum) FROM n LIMIT 100")
            for case .failed(let text) in outcomes { Issue.record("\(text)") }
            return database.applier.session.budget.charged - before
        }
        #expect(charges[0] == charges[1])
    }

    /// Beside a pattern that is bound SQLite compiles a statement again when it runs, here without making
    /// constants once: what modules compile in that run they keep.
    @Test func `A statement that is compiled again leaves modules as they are`() throws {
        let (old, new) = (try Database(), try Database())
        let schema =
            Self.schema + [Self.list, Self.uses[0], Self.uses[1], "INSERT INTO t VALUES('fire')"]
        for database in [old, new] {
            for sql in schema {
                for case .failed(let text) in try database.execute(sql) {
                    Issue.record("\(sql): \(text)")
                }
            }
        }
        new.applier = try Applier(path: new.applier.path)
        for (sql, isBound) in [
            (
                "INSERT INTO f SELECT c0a, 'b' FROM f4_content WHERE c0a LIKE ?1",
                true
            ),
            (
                "DELETE FROM f4 WHERE docid IN (SELECT docid FROM f4_content WHERE c0a LIKE ?1)",
                true
            ),
            ("INSERT INTO t SELECT a FROM f('one') WHERE a LIKE ?1", true),
            ("INSERT INTO f(f) VALUES('optimize')", false),
            ("DELETE FROM f WHERE rowid % 3", false),
            ("INSERT INTO t SELECT count(*) FROM f('one AND k3')", false),
        ] {
            let charges = try [old, new].map { database in
                let before = database.applier.session.budget.charged
                let result = try database.apply(
                    Command(
                        kind: .execute,
                        statements: [
                            Statement(sql, positional: isBound ? [.text("one k1%")] : [])
                        ], stamp: stamp(database.applier.applied.position.index.next)))
                for case .failed(let text) in result.statements.map(\.outcome) {
                    Issue.record("\(sql): \(text)")
                }
                return database.applier.session.budget.charged - before
            }
            #expect(charges[0] == charges[1], "\(sql)")
        }
        #expect(try old.dump() == new.dump())
    }

    /// Of a database with large rows and full-text tables. Made once: it takes longer than what is tried on it.
    private static let wideFile: Result<[UInt8], any Error> = Result {
        let database = try Database()
        // With FTS3 or FTS4 there are no batches.
        for sql in schema.filter({ !$0.contains("fts3") && !$0.contains("fts4") }) + [
            "CREATE TABLE wide(a)",
            numbers + "INSERT INTO wide SELECT zeroblob(20000) FROM n WHERE i < 200", uses[0],
            uses[7], "CREATE INDEX w ON wide(length(a))",
        ] {
            for case .failed(let text) in try database.execute(sql) {
                Issue.record("\(sql): \(text)")
            }
        }
        return try database.bytes().bytes
    }

    /// SQLite reads a free page that it takes where it became free in the same transaction, and no other;
    /// and it takes memory for what a statement changes once for a transaction, or once for each.
    @Test(arguments: [
        numbers + "INSERT INTO f SELECT hex(randomblob(60)), 'two' FROM n WHERE i < 900",
        numbers + "INSERT INTO tri SELECT hex(randomblob(20)) FROM n WHERE i < 90",
        numbers + "INSERT INTO r SELECT i, i % 400, i % 400 + 5, 'n' FROM n WHERE i < 900",
        numbers + "INSERT INTO t SELECT zeroblob(30000) FROM n WHERE i < 300",
        numbers
            + "INSERT INTO t SELECT json_array(hex(zeroblob(10000)), i) FROM n WHERE i < 100",
        "UPDATE wide SET a = a || zeroblob(50000)", "DROP TABLE wide", "REINDEX",
        "PRAGMA user_version=7", "BEGIN; CREATE TABLE z(a); ROLLBACK", "CREATE TABLE z(a)",
    ])
    func `A statement is charged the same in a batch and in a transaction of its own`(
        statement: String
    ) throws {
        let freeing = [
            "DELETE FROM wide WHERE rowid % 2", "INSERT INTO f(f) VALUES('optimize')",
            "DELETE FROM f WHERE rowid % 3 = 0",
            "INSERT INTO less(less) VALUES('delete-all')",
        ]
        let file = try Self.wideFile.get()
        let (single, batch) = (try Database(holding: file), try Database(holding: file))
        let first = single.applier.applied.position.index
        let entries = (freeing + [statement]).enumerated().map { place, sql in
            command(sql, LogIndex(first.rawValue + 1 + UInt64(place)))
        }
        var charges: [Int] = []
        var answers: [[[StatementOutcome]]] = []
        for (database, size) in [(single, 1), (batch, entries.count)] {
            let before = database.applier.session.budget.charged
            var results: [AppliedEntry] = []
            for start in stride(from: 0, to: entries.count, by: size) {
                try database.applier.apply(
                    entries[start..<start + size], reporting: { _ in true }, into: &results)
            }
            charges.append(database.applier.session.budget.charged - before)
            answers.append(results.map { $0.result?.statements.map(\.outcome) ?? [] })
        }
        for case .failed(let text) in answers[0].joined() { Issue.record("\(text)") }
        #expect(answers[0] == answers[1])
        #expect(charges[0] == charges[1])
        #expect(try single.dump() == batch.dump())
    }

    private static let scattered =
        numbers
        + "INSERT INTO r SELECT i, (i*7919)%400, (i*7919)%400+5, (i*104729)%300, (i*104729)%300+3 FROM n"

    /// An R-Tree remembers how it put in the last row, and takes others out accordingly.
    @Test(arguments: [
        ["DELETE FROM r WHERE id % 3"], ["DELETE FROM r WHERE id % 50 > 5"],
        [
            "UPDATE r SET id = -id, x0 = x0 - 2 WHERE id % 2",
            "UPDATE r SET x0 = x0 - 3 WHERE id < 0",
        ],
        ["DELETE FROM t"], ["INSERT INTO t SELECT id FROM r WHERE id % 3"],
        ["REPLACE INTO r SELECT id, x0 / 9, x1, y0, y1 / 7 FROM r WHERE id % 4"],
        ["INSERT INTO n SELECT id FROM r WHERE id % 3"],
        ["REPLACE INTO n SELECT id FROM r WHERE id % 3"],
        ["INSERT INTO m SELECT id FROM r WHERE id % 3"],
        [
            "BEGIN", "INSERT INTO f4 VALUES('a')", "DELETE FROM r WHERE id % 3",
            "INSERT INTO f4 VALUES('b')", "INSERT INTO f VALUES('a')",
            "UPDATE r SET x0 = x0 - 1 WHERE id % 5",
            "INSERT INTO f VALUES('b')", "COMMIT",
        ],
        ["INSERT INTO f VALUES('a')", "DELETE FROM r WHERE id % 3", "INSERT INTO f VALUES('a')"],
    ])
    func `An R-Tree comes out the same on a connection that is old and on one that is new`(
        statements: [String]
    ) throws {
        let (old, new) = (try Database(), try Database())
        let schema = [
            "CREATE TABLE t(a)", "CREATE VIRTUAL TABLE f USING fts5(a)",
            "CREATE VIRTUAL TABLE f4 USING fts4(a)",
            "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, y0, y1)", Self.scattered,
            "CREATE TRIGGER td AFTER DELETE ON t BEGIN DELETE FROM r WHERE id % 40 > 4; END",
            "CREATE TRIGGER ti AFTER INSERT ON t BEGIN INSERT OR REPLACE INTO r VALUES(new.a, 1, 9, 2, 8); END",
            "CREATE TABLE n(a PRIMARY KEY)", "CREATE TABLE m(a)",
            "CREATE TRIGGER tn AFTER INSERT ON n BEGIN INSERT INTO r VALUES(new.a, 1, 9, 2, 8); END",
            "CREATE TRIGGER tm AFTER INSERT ON m BEGIN REPLACE INTO n VALUES(new.a); END",
            "INSERT INTO t VALUES(5000)", "INSERT INTO r VALUES(100000, 1, 2, 3, 4)",
        ]
        for database in [old, new] {
            for sql in schema {
                for case .failed(let text) in try database.execute(sql) {
                    Issue.record("\(sql): \(text)")
                }
            }
        }
        new.applier = try Applier(path: new.applier.path)
        for database in [old, new] {
            let index = database.applier.applied.position.index.next
            try database.apply(
                Command(
                    kind: .execute, statements: statements.map { Statement($0) },
                    stamp: stamp(index)))
            let outcomes = try database.execute(
                "INSERT INTO r VALUES(200000, 1, 2, 3, 4)", "DELETE FROM r WHERE id % 7 > 1")
            for case .failed(let text) in outcomes { Issue.record("\(statements): \(text)") }
        }
        #expect(try old.dump() == new.dump())
    }

    private func fullTextTables(_ count: Int) throws -> Database {
        let database = try Database()
        let tables = (0..<count).map { "CREATE VIRTUAL TABLE f\($0) USING fts5(a);" }.joined()
        let outcomes = try database.execute("CREATE TABLE t(a)", tables)
        for case .failed(let text) in outcomes { Issue.record("\(text)") }
        return database
    }

    /// All tables are asked before a statement that reads the index of one.
    @Test func `What full-text tables are asked before a statement costs steps`() throws {
        let charges = try [2, 22].map { count in
            let database = try fullTextTables(count)
            try database.execute("CREATE VIRTUAL TABLE words USING fts5vocab(f0, row)")
            let before = database.applier.session.budget.charged
            #expect(try database.rows("SELECT count(*) FROM words") == ["0"])
            return database.applier.session.budget.charged - before
        }
        #expect(charges[1] - charges[0] >= 10_000, "\(charges)")
    }

    @Test func `Full-text tables of one transaction write what they hold when they are many`()
        throws
    {
        let database = try fullTextTables(17)
        let inserts = (0..<17).map { "INSERT INTO f\($0) VALUES('x')" }
        let texts =
            ["BEGIN"] + inserts + ["SELECT count(*) FROM f0_data"] + inserts
            + ["SELECT count(*) FROM f16_data", "COMMIT"]
        let result = try database.apply(
            Command(
                kind: .request, statements: texts.map { Statement($0) },
                stamp: stamp(database.applier.applied.position.index.next)))
        var counts: [String] = []
        for outcome in result.statements.map(\.outcome) {
            if case .failed(let text) = outcome { Issue.record("\(text)") }
            if case .rows(let rows) = outcome { counts += try rows.lines() }
        }
        // Two rows are there from the first on; the other holds the words.
        #expect(counts == ["3", "3"])
        #expect(try database.rows("SELECT count(*) FROM f5('x')") == ["2"])
    }

    @Test(arguments: [(32, true), (33, false)])
    func `How many full-text tables one statement writes is limited`(count: Int, isTaken: Bool)
        throws
    {
        let database = try fullTextTables(count)
        let inserts = (0..<count).map { "INSERT INTO f\($0) VALUES(new.a);" }.joined(separator: " ")
        let outcomes = try database.execute(
            "CREATE TRIGGER all_of_them AFTER INSERT ON t BEGIN \(inserts) END",
            "INSERT INTO t VALUES('x')")
        let expected: StatementOutcome =
            isTaken
            ? .changed(lastInsertID: 1, rowsAffected: 1)
            : .failed(
                "too many full-text tables: a statement, with its triggers, writes at most 32")
        #expect(outcomes == [.empty, expected])
        #expect(
            try database.rows("SELECT count(*) FROM f0('x')") == [isTaken ? "1" : "0"])
        guard !isTaken else { return }
        // What the connection ran before is no matter: a restarted one has run nothing.
        try database.execute("CREATE TABLE s(a INT) STRICT")
        let charges = try ["1", "'x'"].map { value in
            try database.execute("INSERT INTO s VALUES(\(value))")
            let before = database.applier.session.budget.charged
            #expect(try database.execute("INSERT INTO t VALUES('x')") == [expected])
            return database.applier.session.budget.charged - before
        }
        #expect(charges[0] == charges[1])
    }

    @Test func `What full-text tables keep in memory is limited, whoever sets it`() throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a)",
            "CREATE TRIGGER s AFTER INSERT ON t BEGIN INSERT INTO f(f, rank) VALUES('hashsize', new.a); END",
            "CREATE VIRTUAL TABLE f USING fts5(a)")
        for sql in [
            "INSERT INTO f(f, rank) VALUES('hashsize', 2000000000)",
            "INSERT INTO f(f, rank) VALUES('HashSize', '2000000000')",
            "INSERT INTO f(f, rank) VALUES('hashsize', -2294967296)",
            "INSERT INTO f(f, rank) VALUES('hashsize', 67108865)",
            "INSERT INTO f(f, rank) SELECT 'hashsize', 14884901888",
            "INSERT INTO t VALUES(2000000000)",
        ] {
            #expect(
                try database.execute(sql) == [.failed(ModuleMemory.oversizedText)], "\(sql)")
            #expect(try database.rows("SELECT count(*) FROM f_config WHERE k LIKE 'h%'") == ["0"])
        }
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
        for sql in [
            "INSERT INTO f(f, rank) VALUES('hashsize', 67108864)",
            "INSERT INTO f(f, rank) VALUES('hashsize', 1000)", "INSERT INTO t VALUES(2000)",
            "INSERT INTO f VALUES('a')",
        ] {
            let outcomes = try database.execute(sql)
            for case .failed(let text) in outcomes { Issue.record("\(sql): \(text)") }
        }
        // Like a limit that is met it ends the transaction.
        let outcomes = try database.execute(
            "BEGIN", "INSERT INTO f VALUES('b')",
            "INSERT INTO f(f, rank) VALUES('hashsize', 2000000000)", "INSERT INTO f VALUES('c')",
            "COMMIT")
        #expect(outcomes.contains(.failed(ModuleMemory.oversizedText)))
        #expect(try database.rows("SELECT group_concat(a, '') FROM f") == ["ac"])
        #expect(try database.rows("SELECT count(*) FROM f('b')") == ["0"])
    }

    @Test(arguments: [
        "CREATE TABLE f_config(k PRIMARY KEY, v) WITHOUT ROWID",
        "CREATE TABLE f_config(k PRIMARY KEY, v)",
    ])
    func `A full-text table that a dump brings with too much to keep in memory is not written`(
        config: String
    ) throws {
        let database = try Database()
        let outcomes = try database.execute(
            "PRAGMA writable_schema=ON", "BEGIN",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) VALUES('table','f','f',0,'CREATE VIRTUAL TABLE f USING fts5(a)')",
            "CREATE TABLE f_data(id INTEGER PRIMARY KEY, block BLOB)",
            "INSERT INTO f_data VALUES(1, X''), (10, X'00000000000000')",
            "CREATE TABLE f_idx(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID",
            "CREATE TABLE f_content(id INTEGER PRIMARY KEY, c0)",
            "CREATE TABLE f_docsize(id INTEGER PRIMARY KEY, sz BLOB)", config,
            "INSERT INTO f_config VALUES('version', 4), ('hashsize', 2000000000)", "COMMIT")
        for case .failed(let text) in outcomes { Issue.record("\(text)") }
        #expect(
            try database.execute("INSERT INTO f VALUES('a')")
                == [.failed(ModuleMemory.oversizedText)])
        #expect(try database.execute("DROP TABLE f") == [.empty])
    }

    @Test(arguments: [10, 200])
    func `A dump brings no more options of a full-text table than one has`(count: Int) throws {
        let database = try Database()
        let options = (0..<count).map { "('option \($0)', \($0))" }.joined(separator: ",")
        let outcomes = try database.execute(
            "CREATE TABLE t(a)", "PRAGMA writable_schema=ON", "BEGIN",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) VALUES('table','f','f',0,'CREATE VIRTUAL TABLE f USING fts5(a)')",
            "CREATE TABLE f_data(id INTEGER PRIMARY KEY, block BLOB)",
            "INSERT INTO f_data VALUES(1, X''), (10, X'00000000000000')",
            "CREATE TABLE f_idx(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID",
            "CREATE TABLE f_content(id INTEGER PRIMARY KEY, c0)",
            "CREATE TABLE f_docsize(id INTEGER PRIMARY KEY, sz BLOB)",
            "CREATE TABLE f_config(k PRIMARY KEY, v) WITHOUT ROWID",
            "INSERT INTO f_config VALUES('version', 4), \(options)", "COMMIT")
        let isRefused = count > 100
        guard outcomes.count == 12 else {
            Issue.record("\(outcomes)")
            return
        }
        #expect("\(outcomes[11])".contains("more rows than it has") == isRefused, "\(outcomes)")
        #expect(
            try database.rows("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'f%'")
                == [isRefused ? "0" : "6"])
        #expect(
            try database.execute("INSERT INTO t VALUES(1)")
                == [.changed(lastInsertID: 1, rowsAffected: 1)])
    }
}
