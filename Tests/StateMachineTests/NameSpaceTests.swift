import CSQLite
import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// Client SQL and the daemon's own share no name space.
@Suite struct NameSpaceTests {
    /// What a client may create under names that something of ours or of SQLite's has, too. Whether
    /// a statement succeeds is not the question.
    private static let hostile = [
        "CREATE TABLE pragma_table_list(x)",
        "CREATE TABLE \"PRAGMA_TABLE_XINFO\"(x)",
        "CREATE TABLE pragma_integrity_check(x); CREATE TABLE pragma_quick_check(x)",
        "CREATE TABLE a(x); ALTER TABLE a RENAME TO pragma_table_list",
        "CREATE VIEW pragma_table_list AS SELECT 1 AS y",
        "CREATE VIRTUAL TABLE pragma_table_xinfo USING fts4(name, hidden)",
        "CREATE VIRTUAL TABLE pragma_table_xinfo USING fts5(name, hidden)",
        "CREATE VIEW pragma_table_xinfo(y) AS SELECT abs(-9223372036854775808)",
        "CREATE TABLE pragma_foreign_key_check(x); CREATE TABLE pragma_table_info(z)",
        "PRAGMA foreign_keys=ON; CREATE TABLE c(x REFERENCES sqlite_rqlite(format))",
        "CREATE TABLE c(x, FOREIGN KEY(x) REFERENCES \"SQLite_Rqlite\"(id) ON DELETE CASCADE)",
        "CREATE TABLE c(x); ALTER TABLE c ADD COLUMN y REFERENCES [sqlite_rqlite](progress)",
        "CREATE TABLE sqlite_rqlite(x)",
        "CREATE TABLE sqlite_rqlite_counter(x)",
        "CREATE TABLE c(x); ALTER TABLE c RENAME TO sqlite_rqlite",
        "CREATE TABLE c(x); ALTER TABLE c RENAME TO sqlite_rqlite_list_table_list",
        "CREATE VIEW v AS SELECT * FROM sqlite_rqlite",
        "CREATE TRIGGER tr AFTER UPDATE ON sqlite_rqlite BEGIN SELECT 1; END",
        "CREATE TABLE c(x); CREATE TRIGGER tr AFTER INSERT ON c BEGIN DELETE FROM sqlite_rqlite; END",
        "CREATE INDEX i ON sqlite_rqlite(format)",
        "CREATE TABLE c AS SELECT * FROM sqlite_rqlite",
        "CREATE VIRTUAL TABLE f USING fts5(progress, content=sqlite_rqlite, content_rowid=id)",
        "CREATE VIRTUAL TABLE f USING fts4(content=\"sqlite_rqlite\", progress)",
        "CREATE VIRTUAL TABLE f USING fts5(a); CREATE TABLE f_data(x); CREATE TABLE f_extra(x)",
        "CREATE TABLE g_data(x); CREATE VIRTUAL TABLE g USING fts5(a)",
        "CREATE TABLE json_each(x); CREATE TABLE dbstat(x); CREATE TABLE sqlite_stmt(x)",
        "CREATE TABLE \"rqlited unit\"(x); CREATE TABLE restore(x); CREATE TABLE flush(x)",
        "CREATE TABLE n(x); CREATE TABLE \"n\"\"; --\"(x); CREATE TABLE ''(x)",
        "CREATE TABLE \"main.sqlite_schema\"(x); CREATE TABLE \"sqlite%schema\"(x)",
        "CREATE TABLE r(rowid, _rowid_, oid)",
        "CREATE TABLE lower(x); CREATE TABLE instr(x); CREATE TABLE main(x); CREATE TABLE temp(x)",
    ]

    @Test(arguments: hostile)
    func `Whatever a client creates, the daemon's own reads and writes still work`(sql: String)
        throws
    {
        let database = try Database()
        let reader = try database.reader()
        // So that the daemon looks through all tables after each change of the schema.
        try database.execute(
            "CREATE TABLE full(a INTEGER PRIMARY KEY); INSERT INTO full VALUES(9223372036854775807)"
        )
        try database.execute(sql)
        for text in sql.split(separator: ";") { try database.execute(String(text)) }
        try database.execute("ANALYZE", "CREATE TABLE later(a)", "INSERT INTO later VALUES(1)")
        try database.execute("VACUUM")
        try database.execute("BEGIN; CREATE TABLE gone(a); ROLLBACK", "PRAGMA optimize")
        #expect(try database.rows("SELECT a FROM later") == ["1"])
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
        #expect(try database.rows("PRAGMA quick_check(1)") == ["ok"])
        let read = reader.run(
            Command(kind: .query, statements: [Statement("SELECT a FROM later")]))
        guard case .result(let answer) = read, case .rows? = answer.statements.first?.outcome
        else {
            Issue.record("\(read)")
            return
        }
        let dump = try database.reader().sqlDump()
        #expect(dump.error == nil)
        let lines = String(decoding: dump.bytes, as: UTF8.self).split(separator: "\n")
        #expect(lines.contains("INSERT INTO \"later\" VALUES(1);"))
        #expect(lines.last == "COMMIT;")
        // At every start, and in every snapshot.
        database.applier = try Applier(path: database.applier.path)
        #expect(try database.rows("SELECT a FROM later") == ["1"])
        #expect(try database.copied().dump() == (try database.dump()))
    }

    /// With a row of the daemon's each of these would give more, or other, rows.
    private static let catalogue = [
        ("SELECT count(*) FROM sqlite_master", "1"), ("SELECT name FROM sqlite_schema", "t"),
        ("SELECT name FROM main.sqlite_master", "t"),
        ("SELECT name FROM \"main\".\"SQLite_Schema\"", "t"),
        ("SELECT name FROM [sqlite_master] AS m WHERE m.rowid < 99", "t"),
        ("SELECT a.name FROM sqlite_master a JOIN main.sqlite_schema b ON true", "t"),
        ("WITH c AS (SELECT * FROM sqlite_schema) SELECT max(name) FROM c", "t"),
        ("SELECT (SELECT group_concat(name) FROM main.'sqlite_master')", "t"),
        ("SELECT min(rootpage) > 2 FROM sqlite_master", "1"),
        (
            "SELECT group_concat(name) FROM pragma_table_list WHERE schema = 'main'",
            "sqlite_schema,t"
        ),
        ("SELECT count(*) FROM pragma_table_info('sqlite_rqlite')", "0"),
        (
            "SELECT count(*) FROM pragma_table_xinfo(CAST(x'73716c6974655f72716c697465ff' AS TEXT))",
            "0"
        ),
        (
            "SELECT count(*) FROM pragma_index_list(CAST(x'73716c6974655f72716c697465ff' AS TEXT))",
            "0"
        ),
        ("SELECT integrity_check FROM pragma_integrity_check", "ok"),
        ("SELECT * FROM pragma_quick_check(1)", "ok"),
        ("PRAGMA integrity_check", "ok"), ("PRAGMA main.integrity_check(5)", "ok"),
        ("PRAGMA integrity_check(1.5)", "ok"), ("PRAGMA integrity_check=+2.;", "ok"),
        ("PRAGMA \"integrity_check\" ( 1e2 )", "ok"), ("PRAGMA'quick_check'", "ok"),
        ("PRAGMA quick_check", "ok"), ("PRAGMA table_list(t)", "main|t|table|1|0|0"),
        ("SELECT count(*) FROM pragma_foreign_key_check", "0"),
    ]

    @Test(arguments: catalogue)
    func `The daemon's table is not to be seen, in whatever words a client asks`(
        sql: String, answer: String
    ) throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let reader = try database.reader()
        for round in ["fresh", "after a rollback of DDL", "after VACUUM", "after a restart"] {
            switch round {
            case "after a rollback of DDL":
                try database.execute("BEGIN; CREATE TABLE u(a); ROLLBACK")
            case "after VACUUM": try database.execute("VACUUM")
            case "after a restart":
                database.applier = try Applier(path: database.applier.path)
            default: break
            }
            #expect(try database.rows(sql) == [answer], "\(round)")
            #expect(try reader.rows(sql) == [answer], "\(round), on a reader")
        }
        try database.execute("CREATE VIEW v AS SELECT name FROM main.sqlite_master")
        #expect(try database.rows("SELECT name FROM v") == ["t", "v"])
    }

    @Test(arguments: [
        ("dbstat", "TABLE dbstat(a)"), ("pragma_notes", "TABLE \"Pragma_Notes\"(a)"),
        ("pragma_function_list", "TABLE pragma_function_list(a)"),
        ("pragma_table_list", "TABLE pragma_table_list(a)"),
        ("pragma_words", "VIRTUAL TABLE pragma_words USING fts5(a)"),
        ("pragma_words", "VIRTUAL TABLE pragma_words USING fts4(a)"),
        ("dbstat", "VIRTUAL TABLE dbstat USING fts5(a)"),
    ])
    func `A client's table is its own though a module of SQLite's has the name`(
        name: String, sql: String
    ) throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a)",
            "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO \(name)(a) VALUES(new.a); END")
        for isReopened in [false, true] {
            #expect(try database.execute("CREATE \(sql)") == [.empty])
            if isReopened { database.applier = try Applier(path: database.applier.path) }
            let outcomes = try database.execute(
                "INSERT INTO \(name)(a) VALUES('x')", "UPDATE \(name) SET a = 'y' WHERE a = 'x'",
                "INSERT INTO t VALUES('z')")
            for case .failed(let text) in outcomes { Issue.record("\(text)") }
            #expect(try database.rows("SELECT group_concat(a) FROM \(name)") == ["y,z"])
            #expect(try database.execute("DROP TABLE \(name)") == [.empty])
            // Now it is SQLite's, or nobody's.
            guard case .failed? = try database.execute("INSERT INTO \(name)(a) VALUES(1)").first
            else {
                Issue.record("\(name) takes rows")
                return
            }
        }
    }

    /// Where the schema in front has no such table SQLite takes its own, also where that schema isn't there.
    @Test(arguments: ["temp", "nowhere", "/* a */ \"Temp\" "])
    func `A client's table lends no module of SQLite's its name`(schema: String) throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a)", "CREATE TABLE dbstat(path)",
            "CREATE TABLE pragma_database_list(file)",
            "INSERT INTO pragma_database_list VALUES('x')")
        for sql in [
            "INSERT INTO t SELECT path FROM \(schema).dbstat",
            "INSERT INTO t SELECT file FROM \(schema).'PRAGMA_database_list'",
            "WITH w AS (SELECT file FROM \(schema).[pragma_database_list]) INSERT INTO t SELECT * FROM w",
            "CREATE TABLE u AS SELECT file FROM \(schema).pragma_database_list",
        ] {
            guard case .failed? = try database.execute(sql).first else {
                Issue.record("\(sql) is carried out")
                continue
            }
        }
        #expect(
            try database.execute("INSERT INTO t SELECT l.file FROM main.pragma_database_list AS l")
                == [.changed(lastInsertID: 1, rowsAffected: 1)])
        #expect(try database.rows("SELECT group_concat(a) FROM t") == ["x"])
    }

    @Test func `What a later statement of a text names says nothing of the one before it`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)", "CREATE TABLE dbstat(path)")
        let text = """
            ;; CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t WHERE a = 1; SELECT 1; END;
            INSERT INTO dbstat VALUES('x'); INSERT INTO t SELECT path FROM temp.dbstat
            """
        guard case .failed? = try database.execute(text).first else {
            Issue.record("the module is read")
            return
        }
        #expect(try database.rows("SELECT path FROM dbstat") == ["x"])
        // A trigger's own statements are its text.
        let literals = try StoredLiterals(on: database.applier.session.connection)
        let trigger =
            "CREATE TRIGGER q AFTER INSERT ON t BEGIN SELECT 1; SELECT * FROM temp.dbstat; END"
        #expect(Array(trigger.utf8).withUnsafeBytes { literals.reachesModules($0) })
    }

    @Test func `Beside virtual tables of a dump no table that is gone lends a module its name`()
        throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)", "CREATE TABLE pragma_database_list(file)")
        let outcomes = try database.execute(
            "BEGIN", "PRAGMA writable_schema=ON",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) "
                + "VALUES('table','w','w',0,'CREATE VIRTUAL TABLE w USING fts5(a)')",
            "DROP TABLE pragma_database_list",
            "INSERT INTO t SELECT file FROM pragma_database_list",
            "ROLLBACK")
        try #require(outcomes.count == 6)
        guard case .failed = outcomes[4] else {
            Issue.record("\(outcomes)")
            return
        }
    }

    @Test func `A client that drops every table it finds leaves the daemon whole`() throws {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a); CREATE TABLE u(a INTEGER PRIMARY KEY AUTOINCREMENT)")
        for name in try database.rows("SELECT name FROM sqlite_master WHERE type = 'table'") {
            let outcome = try database.execute("DROP TABLE \"\(name)\"")
            #expect(
                outcome == [
                    name == "sqlite_sequence"
                        ? .failed("table sqlite_sequence may not be dropped") : .empty
                ])
        }
        database.applier = try Applier(path: database.applier.path)
        #expect(try database.rows("SELECT name FROM sqlite_master") == ["sqlite_sequence"])
    }

    @Test(
        arguments: [
            "CREATE TABLE s(a CHECK(unhex(a) IS NOT NULL))",
            "CREATE TABLE s(a, b AS (unhex(a, ' ')) STORED)",
            "CREATE TABLE s(a, b AS (octet_length(a)))",
            "CREATE TABLE s(a, b AS (concat(a, 1)), c AS (concat_ws('-', a, 2)) STORED)",
            "CREATE TABLE s(a); CREATE INDEX si ON s(unhex(a))",
            "CREATE TABLE s(a); CREATE INDEX si ON s(octet_length(a)) WHERE concat(a) > ''",
            "CREATE TABLE s(a UNIQUE, CHECK(concat_ws(',', a, a) <> ''))",
            "CREATE TABLE s(a DEFAULT (random()), b DEFAULT (hex(randomblob(4))))",
            "CREATE TABLE s(a DEFAULT CURRENT_TIMESTAMP, b DEFAULT (total_changes()))",
            "CREATE TABLE s(a); CREATE VIEW v AS SELECT unhex(a) FROM s",
        ])
    func `A schema that one connection accepts all accept`(schema: String) throws {
        let database = try Database()
        #expect(try database.execute(schema) == [.empty])
        _ = try database.execute("INSERT INTO s(a) VALUES('0a')", "ANALYZE")
        #expect(try database.rows("SELECT count(*) FROM s") == ["1"])
        #expect(try database.reader().rows("SELECT count(*) FROM s") == ["1"])
        database.applier = try Applier(path: database.applier.path)
        let copy = try database.copied()
        #expect(try copy.rows("SELECT count(*) FROM s") == ["1"])
        #expect(try copy.dump() == (try database.dump()))
    }

    @Test(
        arguments: [
            "CREATE TABLE g(a, b AS (sqlite_version()))",
            "CREATE TABLE g(a, b AS (sqlite_source_id() || a) STORED)",
            "CREATE TABLE g(a CHECK(\"sqlite_version\" () > a))",
            "CREATE TABLE g(a DEFAULT (sqlite_compileoption_get(1)))",
            "CREATE TABLE g(a DEFAULT (/* */ [sqlite_version]/**/()))",
            "CREATE TABLE g(a); ALTER TABLE g ADD COLUMN b DEFAULT (SQLITE_VERSION())",
            "CREATE TABLE g(a); CREATE INDEX gi ON g(sqlite_version())",
            "CREATE TABLE g(a); CREATE INDEX gi ON g(a) WHERE sqlite_compileoption_used('X') = 1",
            "CREATE VIEW g AS SELECT fts5_source_id()",
            "CREATE TABLE g(a); CREATE TRIGGER gt AFTER INSERT ON g BEGIN SELECT sqlite_source_id(); END",
        ])
    func `Functions that differ between builds are refused in what is stored`(sql: String) throws {
        let database = try Database()
        let outcomes = try sql.split(separator: ";", maxSplits: 1)
            .flatMap { try database.execute(String($0)) }
        guard case .failed(let message)? = outcomes.last else {
            Issue.record("\(sql) was accepted")
            return
        }
        #expect(message.contains("not supported") && message.contains("differ"), "\(message)")
        #expect(
            try database.rows("SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%sqlite_%(%'")
                == ["0"])
    }

    @Test func `A database with its own table still listed becomes one that hides it`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1)")
        for isSecondPage in [true, false] {
            let copy = try database.copied { (connection) throws(SQLiteError) in
                try connection.execute(
                    """
                    PRAGMA writable_schema=ON;
                    INSERT INTO sqlite_schema VALUES('table', 'sqlite_rqlite', 'sqlite_rqlite', 2,
                    'CREATE TABLE sqlite_rqlite(id INTEGER PRIMARY KEY, format INTEGER NOT NULL,
                    cluster BLOB, foreign_keys INTEGER NOT NULL, membership BLOB NOT NULL,
                    membership_index INTEGER NOT NULL, progress BLOB NOT NULL)');
                    PRAGMA writable_schema=RESET;
                    """)
                // As a table of a loaded file: somewhere behind others.
                if !isSecondPage { try connection.execute("VACUUM") }
                let root = try connection.integer(
                    "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_rqlite'")
                #expect((root == 2) == isSecondPage)
            }
            #expect(try copy.rows("SELECT name FROM sqlite_schema") == ["t"])
            #expect(try copy.rows("SELECT a FROM t") == ["1"])
            #expect(try copy.rows("PRAGMA integrity_check") == ["ok"])
            #expect(copy.applier.applied.position.index > LogIndex(1))
        }
    }

    @Test func `A VACUUM that was cut short leaves nothing to be seen`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1)")
        for vacuums in [false, true] {
            let copy = try database.copied { (connection) throws(SQLiteError) in
                #expect(csqlite_list_hidden(connection.pointer) == SQLITE_OK)
                #expect(csqlite_list_hidden(connection.pointer) == SQLITE_OK)
                if vacuums { try connection.execute("VACUUM") }
                let listed = try connection.integer("SELECT count(*) FROM sqlite_schema")
                #expect(listed == 2)
            }
            #expect(try copy.rows("SELECT name FROM sqlite_schema") == ["t"])
            #expect(try copy.rows("PRAGMA integrity_check") == ["ok"])
            #expect(copy.applier.applied.position.index > database.applier.applied.position.index)
        }
    }

    @Test func `A reader that looks while VACUUM runs finds nothing wrong, then or later`() throws {
        let database = try Database(foreignKeys: true)
        try database.execute("CREATE TABLE t(a)")
        let reader = try database.reader()
        let writer = database.applier.session
        for vacuums in [false, true] {
            #expect(csqlite_list_hidden(writer.connection.pointer) == SQLITE_OK)
            if vacuums { try writer.connection.execute("VACUUM") }
            let readers = [reader, try database.reader()]
            for isListed in [true, false] {
                if !isListed {
                    #expect(csqlite_unlist_hidden(writer.connection.pointer) == SQLITE_OK)
                }
                for reader in readers {
                    #expect(try reader.rows("PRAGMA integrity_check") == ["ok"])
                    #expect(try reader.rows("PRAGMA foreign_keys") == ["1"])
                    #expect(
                        try reader.rows("SELECT * FROM sqlite_rqlite")
                            == ["failed: no such table: sqlite_rqlite"])
                    #expect(
                        try reader.rows("SELECT count(*) FROM pragma_table_list('sqlite_rqlite')")
                            == ["0"])
                }
            }
        }
    }

    @Test func `A full disk at any write of VACUUM leaves nothing to be seen`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(hex(zeroblob(20000)))")
        let vacuum = entry(
            database.applier.applied.position.index.next,
            Command(kind: .execute, statements: [Statement("VACUUM")]))
        defer { WriteFault.end() }
        var failures = 0
        for writes in 0..<60 {
            let copy = try database.copied()
            var results: [AppliedEntry] = []
            var isRestarted = false
            WriteFault.full(after: Int64(writes))
            do {
                try copy.applier.apply([vacuum], reporting: { _ in true }, into: &results)
                WriteFault.end()
            } catch {
                WriteFault.end()
                #expect(error == .diskFull)
                failures += 1
                isRestarted = writes % 2 == 0
                if isRestarted { copy.applier = try Applier(path: copy.applier.path) }
                try copy.applier.apply([vacuum], reporting: { _ in true }, into: &results)
            }
            // A restart forgets the results of what was done before it.
            let outcome = results.first?.result?.statements.first?.outcome
            #expect(outcome == .empty || isRestarted && outcome == nil)
            #expect(try copy.rows("SELECT name FROM sqlite_schema") == ["t"])
            #expect(try copy.rows("PRAGMA integrity_check") == ["ok"])
            #expect(try Applier(path: copy.applier.path).applied == copy.applier.applied)
        }
        #expect(failures > 10)
    }

    @Test(arguments: [0, 1, 2], ["UTF-8", "UTF-16le", "UTF-16be"])
    func `A loaded file gets the table, whatever it held and however it moves pages`(
        autoVacuum: Int, encoding: String
    ) throws {
        let database = try Database()
        let second = Generation(2)
        let path = database.databases.incomingFile(of: second)
        let foreign = try Connection(path: path, access: .create)
        try foreign.execute(
            """
            PRAGMA encoding='\(encoding)'; PRAGMA auto_vacuum=\(autoVacuum); PRAGMA journal_mode=DELETE;
            CREATE TABLE a(x); CREATE TABLE b(x REFERENCES sqlite_rqlite(y)); INSERT INTO a VALUES(5);
            CREATE TABLE pragma_table_list(x); CREATE TABLE pragma_table_xinfo(x);
            CREATE VIEW v AS SELECT * FROM sqlite_rqlite;
            PRAGMA writable_schema=ON; CREATE TABLE sqlite_rqlite(y UNIQUE);
            CREATE TABLE SQLITE_RQLITE_COUNTER(a); INSERT INTO sqlite_rqlite_counter VALUES(1);
            CREATE VIEW sqlite_rqlite_list_table_list AS SELECT 1;
            """)
        let state = AppliedState(
            position: LogPosition(index: LogIndex(40), term: Term(2)),
            cluster: ClusterID(RandomID(high: 7, low: 8)))
        try database.databases.installLoaded(as: second, state: state)
        database.applier = try Applier(path: database.databases.file(of: second))
        #expect(database.applier.applied == state)
        #expect(
            try database.rows("SELECT name FROM sqlite_schema ORDER BY 1")
                == ["a", "b", "pragma_table_list", "pragma_table_xinfo", "v"])
        #expect(try database.reader().rows("PRAGMA encoding") == [encoding])
        try database.execute("DROP TABLE b", "DROP TABLE pragma_table_list", "ANALYZE", "VACUUM")
        try database.execute("BEGIN; CREATE TABLE gone(x); ROLLBACK", "VACUUM")
        #expect(try database.rows("SELECT x FROM a") == ["5"])
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
        #expect(try database.copied().dump() == (try database.dump()))
    }

    @Test func `Whether a connection has the daemon's table at hand decides nothing`() throws {
        let hidden = "CAST(x'73716c6974655f72716c697465ff' AS TEXT)"
        let requests = [
            "CREATE TABLE seen(what, name)", "BEGIN; CREATE TABLE gone(a); ROLLBACK",
            "INSERT INTO seen SELECT 'info', name FROM pragma_table_info(\(hidden))",
            "INSERT INTO seen SELECT 'xinfo', name FROM pragma_table_xinfo(\(hidden))",
            "INSERT INTO seen SELECT 'list', name FROM pragma_table_list",
            "INSERT INTO seen SELECT 'one', name FROM pragma_table_list(\(hidden))",
            "INSERT INTO seen SELECT 'fk', \"table\" FROM pragma_foreign_key_check(\(hidden))",
            "INSERT INTO seen SELECT 'check', integrity_check FROM pragma_integrity_check",
            "INSERT INTO seen SELECT 'quick', quick_check FROM pragma_quick_check(\(hidden))",
            "SAVEPOINT s; CREATE TABLE gone(a); ROLLBACK TO s; RELEASE s",
            "INSERT INTO seen SELECT 'again', integrity_check FROM pragma_integrity_check(3)",
            "INSERT INTO seen SELECT 'master', name FROM sqlite_master",
        ]
        var dumps: [[String]] = []
        for batch in [1, 3, requests.count] {
            for avoidsSharing in [false, true] {
                let database = try Database()
                database.applier.avoidsSharedTransactions = avoidsSharing
                let entries = requests.enumerated().map { index, sql in
                    entry(
                        LogIndex(UInt64(index + 1)),
                        Command(kind: .execute, statements: [Statement(sql)]))
                }
                for start in stride(from: 0, to: entries.count, by: batch) {
                    var results: [AppliedEntry] = []
                    try database.applier.apply(
                        entries[start..<min(start + batch, entries.count)],
                        reporting: { _ in false }, into: &results)
                }
                dumps.append(try database.dump())
            }
        }
        #expect(Set(dumps).count == 1)
        #expect(dumps[0].contains { $0.hasSuffix("3:check|3:ok") })
        #expect(dumps[0].contains { $0.hasSuffix("3:again|3:ok") })
        #expect(!dumps[0].contains { $0.contains("rqlite") || $0.contains("never used") })
    }

    @Test func `VACUUM leaves the counters of its request alone`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let outcomes = try database.request(
            "INSERT INTO t VALUES(1),(2),(3)", "VACUUM",
            "SELECT changes(), total_changes(), last_insert_rowid()")
        guard case .rows(let rows)? = outcomes.last else {
            Issue.record("no rows")
            return
        }
        #expect(try rows.lines() == ["3|3|3"])
    }
}
