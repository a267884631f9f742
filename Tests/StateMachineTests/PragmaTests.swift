import Raft
import Testing
import Wire

@testable import StateMachine

/// PRAGMAs give one answer, whoever is asked, and settings hold for their request.
@Suite struct PragmaTests {
    /// All PRAGMAs that SQLite has.
    private static func names() throws -> [String] {
        try Database().rows("PRAGMA pragma_list").sorted()
    }

    @Test(arguments: [false, true])
    func `Every PRAGMA that asks gets one answer, on every route`(foreignKeys: Bool) throws {
        let database = try Database(foreignKeys: foreignKeys)
        try database.execute(
            """
            CREATE TABLE p(a PRIMARY KEY); CREATE TABLE t(a REFERENCES p, b UNIQUE);
            INSERT INTO p VALUES(1); INSERT INTO t VALUES(1, 2)
            """)
        let reader = try database.reader()
        #expect(try Self.names().count > 50)
        for name in try Self.names() {
            for sql in [
                "PRAGMA \(name)", "PRAGMA main.\(name)", "PRAGMA temp.\(name)",
                "SELECT * FROM pragma_\(name)", "SELECT * FROM pragma_\(name)()",
                "SELECT * FROM \"PRAGMA_\(name)\"('t')", "PRAGMA \(name)(t)",
            ] {
                // The last takes an argument for a setting.
                if sql.hasSuffix("(t)"),
                    ![
                        "table_info", "index_list", "foreign_key_list",
                        "table_list", "foreign_key_check", "quick_check",
                    ].contains(name)
                {
                    continue
                }
                let read = try reader.rows(sql)
                let written = try database.text(of: .query, sql)
                #expect(read == written, "\(sql)")
                #expect(!read.contains { $0.contains("attempt to change") }, "\(sql): \(read)")
            }
        }
    }

    @Test(
        arguments: [
            ("foreign_keys", "1"), ("journal_mode", "wal"), ("synchronous", "1"),
            ("query_only", "0"), ("read_uncommitted", "0"), ("recursive_triggers", "0"),
            ("full_column_names", "0"), ("short_column_names", "1"), ("soft_heap_limit", "0"),
            ("busy_timeout", "0"), ("wal_autocheckpoint", "0"), ("secure_delete", "0"),
            ("writable_schema", "0"), ("locking_mode", "normal"), ("encoding", "UTF-8"),
            ("user_version", "0"), ("defer_foreign_keys", "0"), ("auto_vacuum", "0"),
        ])
    func `The answer is that of the connection that writes`(name: String, value: String) throws {
        let database = try Database(foreignKeys: true)
        let reader = try database.reader()
        #expect(try database.rows("PRAGMA \(name)") == [value])
        #expect(try reader.rows("PRAGMA \(name)") == [value])
        #expect(try reader.rows("pragma [main] . \"\(name.uppercased())\" ; -- c") == [value])
        if name == "foreign_keys" || name == "synchronous" || name == "query_only" {
            #expect(try reader.rows("SELECT * FROM pragma_\(name)") == [value])
            #expect(try reader.rows("SELECT \(name) FROM pragma_\(name)()") == [value])
        }
    }

    @Test(
        arguments: [
            "PRAGMA read_uncommitted", "PRAGMA read_uncommitted=0", "PRAGMA read_uncommitted=true",
            "PRAGMA shrink_memory", "PRAGMA soft_heap_limit", "PRAGMA soft_heap_limit=1000000",
            "PRAGMA hard_heap_limit(0)", "PRAGMA full_column_names=OFF", "PRAGMA busy_timeout=5000",
            "PRAGMA short_column_names=1", "PRAGMA case_sensitive_like=0",
            "PRAGMA cache_size=-64000",
            "PRAGMA temp_store=MEMORY", "PRAGMA mmap_size=268435456", "PRAGMA encoding='UTF-8'",
            "PRAGMA page_size=8192", "PRAGMA recursive_triggers=OFF", "PRAGMA automatic_index=OFF",
            "PRAGMA locking_mode=NORMAL", "PRAGMA count_changes=OFF", "PRAGMA foreign_keys=ON",
            "PRAGMA legacy_alter_table=OFF", "PRAGMA trusted_schema=ON", "PRAGMA auto_vacuum=0",
            "PRAGMA incremental_vacuum(7)", "PRAGMA journal_size_limit=-1", "PRAGMA threads=4",
            "PRAGMA optimize", "PRAGMA writable_schema=RESET", "PRAGMA analysis_limit=400",
        ])
    func `PRAGMAs by which drivers look around and tune are accepted`(sql: String) throws {
        let database = try Database(foreignKeys: true)
        let reader = try database.reader()
        for kind in [CommandKind.execute, .query, .request] {
            let command = Command(kind: kind, statements: [Statement(sql)])
            let outcome = try database.apply(command).statements.first?.outcome
            if case .failed(let message)? = outcome { Issue.record("\(sql): \(message)") }
            guard kind != .execute, case .result(let result) = reader.run(command) else { continue }
            if case .failed(let message)? = result.statements.first?.outcome {
                Issue.record("\(sql), read: \(message)")
            }
        }
    }

    @Test(
        arguments: [
            ("foreign_keys=OFF", "foreign_keys=OFF"),
            ("main.foreign_keys(0); ", "foreign_keys=OFF"),
            ("defer_foreign_keys=1", "defer_foreign_keys=ON"),
            ("full_column_names=ON -- c", "full_column_names=ON"),
            ("recursive_triggers=1", "recursive_triggers=ON"),
            ("ignore_check_constraints=yes", "ignore_check_constraints=ON"),
            ("legacy_alter_table=ON", "legacy_alter_table=ON"),
            ("writable_schema=1", "writable_schema=ON"),
            ("case_sensitive_like=ON", "case_sensitive_like=ON"),
        ])
    func `A setting that ends with its request, sent alone, is an error that says so`(
        setting: String, name: String
    ) throws {
        let database = try Database(foreignKeys: true)
        let reader = try database.reader()
        let expected = StatementOutcome.failed(
            "PRAGMA \(name) ends with its request, and nothing follows it there: send it in one "
                + "request with the statements it is meant for")
        let sql = "PRAGMA \(setting)"
        for kind in [CommandKind.execute, .query, .request] {
            for texts in [[sql], [sql, " -- nothing", ""], ["SELECT 1; \(sql)"]] {
                let command = Command(kind: kind, statements: texts.map { Statement($0) })
                #expect(try database.apply(command).statements.first?.outcome == expected)
                guard kind != .execute else { continue }
                guard case .result(let result) = reader.run(command) else {
                    Issue.record("\(texts) needs a write")
                    continue
                }
                #expect(result.statements.first?.outcome == expected)
            }
        }
        #expect(try database.execute(sql, "SELECT 1").first == .empty)
        #expect(try database.rows("PRAGMA foreign_keys") == ["1"])
    }

    @Test func `What a user meant to keep is kept, and what he switched off stays off`() throws {
        let database = try Database(foreignKeys: true)
        try database.execute(
            """
            CREATE TABLE p(a PRIMARY KEY);
            CREATE TABLE c(a REFERENCES p ON DELETE CASCADE);
            INSERT INTO p VALUES(1); INSERT INTO c VALUES(1)
            """)
        try database.execute("PRAGMA foreign_keys=OFF", "DROP TABLE p")
        #expect(try database.rows("SELECT a FROM c") == ["1"])
        #expect(try database.rows("PRAGMA foreign_keys") == ["1"])
    }

    @Test func `Settings hold for their request, on readers as in writes`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a CHECK(a > 'A')); INSERT INTO t VALUES('x'),('X')")
        let reader = try database.reader()
        let setting = "PRAGMA recursive_triggers"
        for _ in 1...2 {
            #expect(try reader.rows(setting) == ["0"])
            #expect(try reader.rows("\(setting)=ON; \(setting)") == ["1"])
            #expect(try reader.rows(setting) == ["0"])
            #expect(try database.rows("\(setting)=ON; \(setting)") == ["1"])
            #expect(try database.rows(setting) == ["0"])
        }
        #expect(try reader.rows("PRAGMA foreign_keys=ON; PRAGMA foreign_keys") == ["1"])
        #expect(try reader.rows("PRAGMA foreign_keys") == ["0"])
        #expect(
            try database.execute("INSERT INTO t VALUES('1')")
                == [.failed("CHECK constraint failed: a > 'A'")])
        #expect(
            try database.execute("PRAGMA ignore_check_constraints=ON", "INSERT INTO t VALUES('1')")
                .last == .changed(lastInsertID: 3, rowsAffected: 1))
        #expect(
            try database.execute("INSERT INTO t VALUES('2')")
                == [.failed("CHECK constraint failed: a > 'A'")])
        guard
            case .rows(let rows)? = try database.request(
                "PRAGMA full_column_names=ON", "SELECT a FROM t"
            ).last
        else { return }
        #expect(rows.columns == ["t.a"])
    }

    @Test func `No setting makes a connection read a schema otherwise than others`() throws {
        let database = try Database()
        let reader = try database.reader()
        try database.execute(
            "CREATE TABLE t(a, b AS (a LIKE 'X'))", "CREATE INDEX i ON t(a LIKE 'X')",
            "CREATE INDEX p ON t(a) WHERE a LIKE 'X'", "INSERT INTO t(a) VALUES('x')")
        for value in ["ON", "OFF", "1", "0"] {
            let sql = "PRAGMA case_sensitive_like=\(value)"
            _ = try reader.rows("\(sql); SELECT a FROM t")
            try database.execute(sql, "UPDATE t SET a = 'x'", "CREATE TABLE t\(value)(a)")
            #expect(
                try database.execute("ANALYZE", "CREATE INDEX i\(value) ON t(a LIKE 'Y')")
                    == [.empty, .empty])
        }
        #expect(
            try database.execute("PRAGMA case_sensitive_like=ON", "DELETE FROM t WHERE a LIKE 'x'")
                == [.empty, .changed(lastInsertID: 0, rowsAffected: 1)])
        #expect(try reader.rows("SELECT count(*) FROM t") == ["0"])
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
    }

    @Test func `A setting outlives a restart in the middle of its request`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a CHECK(a = 0))")
        try database.execute(
            "PRAGMA ignore_check_constraints=ON", "INSERT INTO t VALUES(1)", "VACUUM",
            "INSERT INTO t VALUES(2)", "ANALYZE", "INSERT INTO t VALUES(3)")
        #expect(try database.rows("SELECT a FROM t") == ["1", "2", "3"])
        var state = database.applier.applied
        state.progress = EntryProgress()
        state.progress?.flags = [.ignoreCheckConstraints, .writableSchema]
        let session = database.applier.session
        try session.begin()
        try MetadataTable.writeProgress(state, on: session.connection)
        try session.commit()
        #expect(try Applier(path: database.applier.path).applied == state)
    }

    @Test func `Lists come in one order, whatever happened to the connection before`() throws {
        let long = try Database()
        for index in 0..<40 {
            try long.execute("CREATE TABLE t\(index * 7919 % 101)(a, b REFERENCES missing)")
            if index % 3 == 0 {
                try long.execute("CREATE TABLE x\(index)(a); DROP TABLE x\(index)")
            }
            try long.execute("INSERT INTO t\(index * 7919 % 101) VALUES(1, 2)")
        }
        let fresh = try long.copied()
        let reader = try long.reader()
        for sql in [
            "PRAGMA table_list", "SELECT * FROM pragma_table_list", "PRAGMA foreign_key_check",
            "SELECT * FROM pragma_foreign_key_check", "PRAGMA integrity_check",
            "SELECT group_concat(name) FROM pragma_table_list",
        ] {
            let rows = try long.rows(sql)
            #expect(try fresh.rows(sql) == rows, "\(sql)")
            #expect(try reader.rows(sql) == rows, "\(sql)")
            guard sql.contains("table_list"), !sql.contains("group") else { continue }
            let names = rows.map { $0.split(separator: "|")[1] }
            #expect(rows.count > 30 && names.dropLast() == names.dropLast().sorted()[...])
        }
        #expect(try reader.rows("PRAGMA function_list").count > 100)
        #expect(try reader.rows("PRAGMA module_list").allSatisfy { !$0.hasPrefix("sqlite_rq") })
    }
}

extension Database {
    /// The rows of one statement through the log, as text, or why there are none.
    func text(of kind: CommandKind, _ sql: String) throws -> [String] {
        let result = try apply(Command(kind: kind, statements: [Statement(sql)]))
        if let error = result.error { return ["request: \(error)"] }
        switch result.statements.first?.outcome {
        case .rows(let rows)?: return try rows.lines()
        case .failed(let message)?: return ["failed: \(message)"]
        case let other: return ["\(String(describing: other))"]
        }
    }
}
