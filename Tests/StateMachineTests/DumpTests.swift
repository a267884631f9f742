import Glibc
import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// Dumps as SQLite's shell writes them.
@Suite struct DumpTests {
    private static let schema = """
        CREATE TABLE plain(a INTEGER PRIMARY KEY AUTOINCREMENT, b);
        INSERT INTO plain(b) VALUES('it''s'), (x'00FF'), (NULL), (1.5);
        CREATE VIRTUAL TABLE words USING fts5(w, tokenize = 'unicode61 remove_diacritics 2');
        INSERT INTO words VALUES('to be or not'), ('be quick'), ('Über');
        CREATE VIRTUAL TABLE "old words" USING fts4(w);
        INSERT INTO "old words" VALUES('one two'), ('two three');
        CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);
        INSERT INTO boxes VALUES(1, 0, 5), (2, 3, 9);
        CREATE VIRTUAL TABLE vocabulary USING fts5vocab('words', 'row');
        CREATE INDEX pb ON plain(b); CREATE VIEW v AS SELECT b FROM plain;
        """

    private static let questions = [
        ("SELECT count(*) FROM plain", "4"),
        ("SELECT w FROM words WHERE words MATCH 'quick'", "be quick"),
        ("SELECT count(*) FROM words WHERE words MATCH 'uber'", "1"),
        ("SELECT count(*) FROM \"old words\" WHERE w MATCH 'two'", "2"),
        ("SELECT id FROM boxes WHERE x0 > 2", "2"),
        ("SELECT cnt FROM vocabulary WHERE term = 'be'", "2"),
        ("PRAGMA integrity_check", "ok"), ("PRAGMA writable_schema", "0"),
        (
            "SELECT group_concat(type) FROM pragma_table_list WHERE name GLOB 'words*'",
            "virtual,shadow,shadow,shadow,shadow,shadow"
        ),
    ]

    /// What the shell writes for a database, in its order.
    private func dump(_ connection: borrowing Connection) throws -> String {
        var text = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
        var isWritable = false
        let tables = try connection.prepare(
            """
            SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql NOT NULL
            ORDER BY tbl_name = 'sqlite_sequence', rowid
            """)
        while try tables.step() {
            guard let name = tables.text(at: 0), var sql = tables.text(at: 1) else { continue }
            if sql.hasPrefix("CREATE VIRTUAL TABLE") {
                if !isWritable { text += "PRAGMA writable_schema=ON;\n" }
                isWritable = true
                let quoted = sql.replacing("'", with: "''")
                text += """
                    INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table',\
                    '\(name)','\(name)',0,'\(quoted)');\n
                    """
                continue
            }
            if name == "sqlite_sequence" {
                text += "DELETE FROM sqlite_sequence;\n"
            } else {
                if sql.hasPrefix("CREATE TABLE '") || sql.hasPrefix("CREATE TABLE \"") {
                    sql = "CREATE TABLE IF NOT EXISTS " + sql.dropFirst(13)
                }
                text += sql + ";\n"
            }
            let columns = try connection.prepare("PRAGMA table_info(\"\(name)\")")
            var list: [String] = []
            while try columns.step() { list.append("quote(\"\(columns.text(at: 1) ?? "")\")") }
            let rows = try connection.prepare(
                "SELECT \(list.joined(separator: "||','||")) FROM \"\(name)\"")
            while try rows.step() {
                text += "INSERT INTO \"\(name)\" VALUES(\(rows.text(at: 0) ?? ""));\n"
            }
        }
        let others = try connection.prepare(
            "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'view') AND sql NOT NULL")
        while try others.step() { text += "\(others.text(at: 0) ?? "");\n" }
        if isWritable { text += "PRAGMA writable_schema=OFF;\n" }
        return text + "COMMIT;\n"
    }

    @Test(arguments: [false, true], [false, true])
    func `A dump with virtual tables loads`(afterVacuum: Bool, asTransaction: Bool) throws {
        let source = try Connection(path: ":memory:", access: .create)
        try source.execute(Self.schema)
        // VACUUM puts virtual tables behind their shadow tables.
        if afterVacuum { try source.execute("VACUUM") }
        let text = try dump(source)
        let database = try Database()
        let reader = try database.reader()
        #expect(try reader.rows("SELECT count(*) FROM sqlite_schema") == ["0"])
        if asTransaction {
            var lines = text.split(separator: "\n").map(String.init)
            lines.removeAll { $0 == "BEGIN TRANSACTION;" || $0 == "COMMIT;" }
            let outcomes = try database.apply(
                Command(
                    kind: .execute, statements: lines.map { Statement($0) }, transaction: true))
            #expect(outcomes.error == nil)
            for outcome in outcomes.statements {
                if case .failed(let message) = outcome.outcome { Issue.record("\(message)") }
            }
        } else {
            #expect(try database.execute(text) == [.empty], "\(text)")
        }
        for (sql, answer) in Self.questions {
            #expect(try database.rows(sql) == [answer], "\(sql)")
            #expect(try reader.rows(sql) == [answer], "\(sql)")
        }
        try database.execute("INSERT INTO words VALUES('later')", "DELETE FROM boxes WHERE id = 1")
        #expect(try database.rows("SELECT w FROM words('later')") == ["later"])
        let check = try database.execute("INSERT INTO words(words) VALUES('integrity-check')")
        if case .failed(let message)? = check.first { Issue.record("\(message)") }
        let copy = try database.copied()
        #expect(try copy.dump() == (try database.dump()))
        #expect(try copy.rows("SELECT w FROM words('later')") == ["later"])
        #expect(
            try database.execute("DELETE FROM words_data")
                == [.failed("table words_data may not be modified")])
    }

    @Test(
        arguments: [
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'CREATE TABLE t(a)')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',3,'CREATE VIRTUAL TABLE t USING fts5(a)')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','u',0,'CREATE VIRTUAL TABLE t USING fts5(a)')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','u','u',0,'CREATE VIRTUAL TABLE t USING fts5(a)')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'CREATE VIRTUAL TABLE t USING fts5(a); DROP TABLE plain')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'CREATE VIRTUAL TABLE t USING nosuch(a)')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'CREATE VIRTUAL TABLE temp.t USING fts5(a)')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'CREATE VIRTUAL TABLE t USING dbstat')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'CREATE VIRTUAL TABLE t USING fts5(a, content=sqlite_rqlite)')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','Plain','Plain',0,'CREATE VIRTUAL TABLE Plain USING fts5(a)')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','sqlite_t','sqlite_t',0,'CREATE VIRTUAL TABLE sqlite_t USING fts5(a)')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'ATTACH ''/tmp/x-of-a-dump'' AS y')",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'')",
            // What has no end must not be begun.
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n')",
            "INSERT INTO sqlite_schema SELECT * FROM sqlite_schema",
            "UPDATE sqlite_schema SET sql = 'CREATE TABLE plain(x)'", "DELETE FROM sqlite_master",
            "INSERT OR REPLACE INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','t','t',0,'CREATE VIRTUAL TABLE t USING fts5(a)')",
        ])
    func `Nothing else writes the schema by hand`(sql: String) throws {
        let database = try Database()
        try database.execute("CREATE TABLE plain(a)")
        let before = try database.dump()
        let outcomes = try database.execute(
            "BEGIN", "PRAGMA writable_schema=ON", sql, "PRAGMA writable_schema=OFF", "COMMIT")
        guard case .failed(let message) = outcomes[2] else {
            Issue.record("accepted")
            return
        }
        #expect(!message.isEmpty)
        database.applier = try Applier(path: database.applier.path)
        #expect(try database.dump() == before)
        #expect(try database.rows("SELECT name FROM sqlite_schema") == ["plain"])
        #expect(access("/tmp/x-of-a-dump", F_OK) != 0)
    }

    /// The schema has many pages, and no room in the cache beside rows that are not committed yet: to look
    /// for a name in it writes some of these.
    @Test func `A disk that is full at a virtual table of a dump is waited for`() throws {
        let database = try Database()
        let long = String(repeating: "x", count: 1000)
        try database.execute(
            (0..<150).map { "CREATE TABLE t\($0)(a /* \(long) */)" }.joined(separator: ";"))
        let texts = [
            "BEGIN", "PRAGMA writable_schema=ON", "CREATE TABLE big(a)",
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800)
            INSERT INTO big SELECT zeroblob(3000) FROM n
            """,
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','v','v',0,'CREATE VIRTUAL TABLE v USING fts5vocab(''words'', ''row'')')",
            "PRAGMA writable_schema=OFF", "COMMIT",
        ]
        let load = Command(kind: .execute, statements: texts.map { Statement($0) })
        defer { WriteFault.end() }
        var failures = 0
        for writes in stride(from: 0, to: 10_000, by: 40) {
            let copy = try database.copied()
            WriteFault.full(after: Int64(writes))
            do {
                let outcomes = try copy.apply(load).statements.map(\.outcome)
                WriteFault.end()
                for case .failed(let text) in outcomes { Issue.record("\(writes): \(text)") }
                break
            } catch let fault as ApplyFault {
                WriteFault.end()
                #expect(fault == .diskFull)
                failures += 1
            }
        }
        #expect(failures > 20)
    }

    @Test func `A row of the schema needs its setting and a transaction`() throws {
        let database = try Database()
        let row =
            "INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)VALUES('table','f','f',0,'CREATE VIRTUAL TABLE f USING fts5(a)')"
        #expect(try database.execute(row) == [.failed("table sqlite_master may not be modified")])
        guard
            case .failed(let message)? = try database.execute("PRAGMA writable_schema=ON", row).last
        else {
            Issue.record("accepted")
            return
        }
        #expect(message.contains("BEGIN"))
        // The setting ended with its request.
        #expect(
            try database.execute("BEGIN; \(row); COMMIT")
                == [.failed("table sqlite_master may not be modified")])
        // What is rolled back was never there.
        try database.execute("BEGIN; PRAGMA writable_schema=ON; \(row); ROLLBACK")
        #expect(try database.rows("SELECT count(*) FROM sqlite_schema") == ["0"])
        #expect(try database.execute("CREATE TABLE f(x)") == [.empty])
    }
}
