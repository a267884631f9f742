import Raft
import Testing
import Wire

@testable import StateMachine

/// Texts differ where their bytes differ, wherever one decides anything: Unicode has several ways to
/// write `é`, which Swift takes for one.
@Suite struct UnicodeTests {
    private static let composed = "\u{E9}"
    private static let decomposed = "e\u{301}"
    /// A combining character, which makes another one of any before it.
    private static let accent = "\u{301}"

    @Test func `Objects whose names differ in bytes alone are two`() throws {
        let database = try Database()
        let reader = try database.reader()
        for (name, value) in [(Self.composed, 1), (Self.decomposed, 2)] {
            try database.execute(
                "CREATE TABLE \(name)(\(name), \"\(name)\(Self.composed)\")",
                "INSERT INTO \(name) VALUES(\(value), \(value))",
                "CREATE INDEX i\(name) ON \(name)(\(name))",
                "CREATE VIEW v\(name) AS SELECT * FROM \(name)")
        }
        for (name, value) in [(Self.composed, "1"), (Self.decomposed, "2")] {
            for sql in ["SELECT \(name) FROM \(name)", "SELECT \(name) FROM v\(name)"] {
                #expect(try database.rows(sql) == [value])
                #expect(try reader.rows(sql) == [value])
            }
            #expect(try reader.rows("PRAGMA table_list('\(name)')").count == 1)
        }
        #expect(try database.rows("SELECT count(*) FROM sqlite_schema") == ["6"])
    }

    @Test func `Savepoints whose names differ in bytes alone are two`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let (a, b) = (Self.composed, Self.decomposed)
        try database.execute(
            """
            BEGIN; SAVEPOINT \(a); INSERT INTO t VALUES(1); SAVEPOINT \(b);
            INSERT INTO t VALUES(2); ROLLBACK TO \(a); COMMIT
            """)
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
        // SQLite tells É from é: without a transaction's end nothing runs.
        for (open, close) in [
            (a, b), (b, a), ("\u{C9}", a), ("k", "\u{212A}"), ("K", "\u{212A}"),
        ] {
            guard
                case .failed(let message)? = try database.execute(
                    "SAVEPOINT \(open); INSERT INTO t VALUES(3); RELEASE \(close)"
                ).first
            else {
                Issue.record("\(open) is \(close)")
                continue
            }
            #expect(message.contains("without its end"))
        }
        #expect(try database.rows("SELECT count(*) FROM t") == ["0"])
    }

    @Test func `No letter of Unicode stands for one of ASCII in a PRAGMA`() throws {
        let database = try Database()
        let reader = try database.reader()
        // The Kelvin sign.
        for sql in [
            "PRAGMA foreign_\u{212A}eys", "PRAGMA integrity_chec\u{212A}",
            "PRAGMA \"quic\u{212A}_check\"", "PRAGMA wal_chec\u{212A}point",
        ] {
            // To SQLite a PRAGMA that it doesn't know is no error.
            for answer in [try reader.rows(sql), try database.text(of: .request, sql)] {
                #expect(
                    answer.first.map { $0.contains("not supported") || $0.contains("empty") }
                        ?? true, "\(sql): \(answer)")
            }
        }
    }

    @Test func `A quote stays one, whatever combines with it`() throws {
        let database = try Database()
        let reader = try database.reader()
        let quote = "''\(Self.accent)"
        for name in [
            "x\"\"\(Self.accent)", "\"\"\(Self.accent)\"\"\(Self.accent) y", "q'\(Self.accent)",
        ] {
            #expect(
                try database.execute(
                    "CREATE VIRTUAL TABLE \"\(name)\" USING fts5(w)", "CREATE TABLE other(a)",
                    "INSERT INTO \"\(name)\" VALUES('x')", "DROP TABLE \"\(name)\"",
                    "DROP TABLE other")
                    == [
                        .empty, .empty, .changed(lastInsertID: 1, rowsAffected: 1), .empty, .empty,
                    ])
        }
        try database.execute("CREATE TABLE \"'\(Self.accent)\"(a)")
        for sql in [
            "PRAGMA table_list('\(quote)\(quote)')", "PRAGMA table_list('\(quote)')",
            "PRAGMA table_info('\(quote)')",
        ] {
            #expect(try reader.rows(sql) == (try database.rows(sql)))
        }
        #expect(try reader.rows("PRAGMA table_list('\(quote)')").count == 1)
    }

    /// What stands in such a row is written into the schema by the daemon itself.
    @Test(
        arguments: [
            "CREATE VIRTUAL TABLE f USING fts5(w, tokenize=\"unicode61 tokenchars '#Q'\")",
            "CREATE VIRTUAL TABLE f USING fts5(w /* #Q, 'table','g','g',0,'CREATE TABLE g(a)'); -- */)",
            "CREATE VIRTUAL TABLE f USING fts5(w, content='#Q')",
        ])
    func `Nothing in a row of a dump breaks out of its text`(sql: String) throws {
        let database = try Database()
        let table = sql.replacing("#Q", with: "'\(Self.accent)")
        let row =
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','f','f',0,"
        var bytes: [UInt8] = []
        for byte in table.utf8 { bytes += byte == 0x27 ? [byte, byte] : [byte] }
        let text = String(decoding: bytes, as: UTF8.self)
        let outcomes = try database.execute(
            "BEGIN", "PRAGMA writable_schema=ON", "\(row)'\(text)')", "COMMIT")
        if sql.contains("/*") {
            #expect(outcomes[2] == .changed(lastInsertID: 1, rowsAffected: 1))
        }
        let names = try database.rows("SELECT name || ' ' || type FROM sqlite_schema")
        #expect(names.isEmpty || names == ["f table"], "\(outcomes)")
        database.applier = try Applier(path: database.applier.path)
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
    }

    @Test func `Tables of a dump whose names differ in bytes alone are two`() throws {
        let database = try Database()
        var texts = ["BEGIN", "PRAGMA writable_schema=ON"]
        let row = "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table',"
        let (a, b) = (Self.composed, Self.decomposed)
        for name in [a, b] {
            texts += [
                "CREATE TABLE \"\(name)_rowid\"(rowid INTEGER PRIMARY KEY,nodeno)",
                "CREATE TABLE \"\(name)_node\"(nodeno INTEGER PRIMARY KEY,data)",
                "CREATE TABLE \"\(name)_parent\"(nodeno INTEGER PRIMARY KEY,parentnode)",
                "INSERT INTO \"\(name)_node\" VALUES(1, zeroblob(1228))",
                "\(row)'\(name)','\(name)',0,'CREATE VIRTUAL TABLE \(name) USING rtree(id, x, y)')",
            ]
        }
        texts.append("COMMIT")
        let result = try database.apply(
            Command(kind: .execute, statements: texts.map { Statement($0) }))
        for outcome in result.statements {
            if case .failed(let message) = outcome.outcome { Issue.record("\(message)") }
        }
        for name in [a, b] {
            #expect(
                try database.execute("INSERT INTO \(name) VALUES(1, 2, 3)")
                    == [.changed(lastInsertID: 1, rowsAffected: 1)])
        }
        // The names in one row must be one.
        let outcomes = try database.execute(
            "BEGIN", "PRAGMA writable_schema=ON",
            "\(row)'x\(a)','x\(b)',0,'CREATE VIRTUAL TABLE x\(a) USING fts5(w)')",
            "\(row)'x\(a)','x\(a)',0,'CREATE VIRTUAL TABLE x\(b) USING fts5(w)')", "ROLLBACK")
        for outcome in outcomes[2...3] {
            guard case .failed = outcome else {
                Issue.record("accepted")
                continue
            }
        }
    }

    @Test func `Parameters whose names differ in bytes alone are two`() throws {
        let database = try Database()
        let statement = Statement(
            "SELECT :\(Self.composed), @\(Self.decomposed), $\(Self.composed)",
            named: [
                .init(name: Self.composed, value: .integer(1)),
                .init(name: Self.decomposed, value: .integer(2)),
            ])
        guard
            case .rows(let rows)? = try database.apply(
                Command(kind: .request, statements: [statement])
            ).statements.first?.outcome
        else {
            Issue.record("no rows")
            return
        }
        #expect(try rows.lines() == ["1|2|1"])
        #expect(rows.columns[0].utf8.elementsEqual(":\(Self.composed)".utf8))
        #expect(rows.columns[1].utf8.elementsEqual("@\(Self.decomposed)".utf8))
    }

    @Test func `No name hides from the daemon's rules behind what combines with it`() throws {
        let database = try Database()
        let before = try database.dump()
        for sql in [
            "CREATE TABLE sqlite_rqlite\(Self.accent)(a)",
            "CREATE TABLE \"sqlite_rqlite\(Self.accent)\"(a)",
            "CREATE VIRTUAL TABLE f USING fts5(a, content='sqlite_rqlite\(Self.accent)')",
            "CREATE VIEW v AS SELECT * FROM sqlite_rqlite\(Self.accent)",
        ] {
            guard case .failed(let message)? = try database.execute(sql).first else {
                Issue.record("\(sql)")
                continue
            }
            #expect(message.contains("the daemon's own") || message.contains("reserved"))
        }
        #expect(try database.dump() == before)
    }
}
