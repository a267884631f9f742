import CSQLite
import Glibc
import Raft
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// Dumps that SQLite's own shell makes load, and come out of the database as they went in.
@Suite struct ShellDumpTests {
    struct Shell {
        let directory: TemporaryDirectory

        init() throws { directory = try TemporaryDirectory("shell") }

        func path(_ name: String) -> String { "\(directory.path)/\(name)" }

        /// Runs a script, or a command of the shell's; what it prints.
        func run(_ script: String, on name: String) throws -> String {
            try Array(script.utf8).write(to: path("script"))
            let command = "sqlite3 '\(path(name))' <'\(path("script"))' >'\(path("out"))' 2>&1"
            let status = system(command)
            let out = try read(path("out"))
            #expect(status == 0, "\(out)")
            return out
        }

        private func read(_ path: String) throws -> String {
            let descriptor = open(path, O_RDONLY)
            guard descriptor >= 0 else { throw HarnessError.system(errno) }
            defer { close(descriptor) }
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = Glibc.read(descriptor, &buffer, buffer.count)
                guard count > 0 else { break }
                bytes += buffer[..<count]
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    static let schemas: [String] = [
        "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b); INSERT INTO t(b) VALUES('it''s'), (x'00FF'), (NULL), (1.5), ('two\nlines\r'), (9e999), (-9e999), (0.1), (9223372036854775807);",
        "CREATE TABLE \"a b\"(\"x\"\"y\", 'z', [sel ect], `k`); INSERT INTO \"a b\" VALUES(1, 2, 3, 4); CREATE TABLE \"order\"(\"group\" UNIQUE, \"from\" DEFAULT 'x'); INSERT INTO \"order\" VALUES('é', 'e\u{301}'); CREATE TABLE 'q''q'(a);",
        "CREATE TABLE w(a TEXT PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO w VALUES('b', 1), ('a', 2); CREATE TABLE s(a INT, b ANY) STRICT; INSERT INTO s VALUES(1, 'x'), (2, x'01');",
        "CREATE TABLE g(a, b AS (a * 2), c AS (a || 'x') STORED, d NOT NULL DEFAULT (1 + 1) CHECK(d > 0)); INSERT INTO g(a) VALUES(1), ('y');",
        "CREATE TABLE p(a PRIMARY KEY, b REFERENCES c DEFERRABLE INITIALLY DEFERRED); CREATE TABLE c(a PRIMARY KEY, b REFERENCES p ON DELETE CASCADE); INSERT INTO p VALUES(1, 2); INSERT INTO c VALUES(2, 1), (3, 99);",
        "CREATE TABLE t(a COLLATE NOCASE, b); CREATE UNIQUE INDEX i ON t(a DESC); CREATE INDEX e ON t(lower(a), b) WHERE b IS NOT NULL; CREATE VIEW v(x) AS SELECT a FROM t; CREATE TRIGGER r AFTER INSERT ON t WHEN new.b > 1 BEGIN UPDATE t SET b = b - 1 WHERE a = new.a; SELECT 'end; x'; END; CREATE TRIGGER o INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES(new.x, 1); END; INSERT INTO t VALUES('x', 5), ('Y', 1); INSERT INTO v VALUES('z');",
        "CREATE TABLE t(a, b); CREATE INDEX ta ON t(a); CREATE INDEX tb ON t(b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO t SELECT i % 2, i FROM n; CREATE TABLE u(a PRIMARY KEY) WITHOUT ROWID; INSERT INTO u VALUES(1); ANALYZE; CREATE TABLE later(a); CREATE INDEX la ON later(a);",
        "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b); INSERT INTO t VALUES(10, 1); DELETE FROM t; CREATE TABLE u(a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO u VALUES(9223372036854775807); CREATE INDEX tb ON t(b); ANALYZE;",
        "CREATE VIRTUAL TABLE words USING fts5(w, x UNINDEXED, tokenize = 'unicode61 remove_diacritics 2', prefix='2 3'); INSERT INTO words VALUES('to be or not', 1), ('be quick', 2), ('Über', 3); DELETE FROM words WHERE x = 2; CREATE VIRTUAL TABLE voc USING fts5vocab('words', 'row');",
        "CREATE TABLE docs(id INTEGER PRIMARY KEY, body); INSERT INTO docs VALUES(1, 'a text'), (2, 'another'); CREATE VIRTUAL TABLE f USING fts5(body, content='docs', content_rowid='id'); INSERT INTO f(f) VALUES('rebuild'); CREATE TRIGGER da AFTER INSERT ON docs BEGIN INSERT INTO f(rowid, body) VALUES(new.id, new.body); END; INSERT INTO docs VALUES(3, 'third'); CREATE VIRTUAL TABLE less USING fts5(w, content=''); INSERT INTO less(rowid, w) VALUES(5, 'gone words');",
        "CREATE VIRTUAL TABLE \"old words\" USING fts4(w, tokenize=porter); INSERT INTO \"old words\" VALUES('running one'), ('two'); CREATE VIRTUAL TABLE three USING fts3(a, b); INSERT INTO three VALUES('x y', 'z');",
        "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, +note); INSERT INTO boxes VALUES(1, 0, 5, 'n'), (2, 3, 9, NULL); CREATE VIRTUAL TABLE ints USING rtree_i32(id, a, b, c, d); INSERT INTO ints VALUES(7, 1, 2, 3, 4); ANALYZE;",
        "CREATE TABLE t(a); CREATE VIRTUAL TABLE w USING fts5(a); INSERT INTO w VALUES('x'); INSERT INTO t VALUES(1); CREATE INDEX i ON t(a); ANALYZE; VACUUM; CREATE TABLE z(a);",
        "PRAGMA page_size=8192; PRAGMA user_version=3; CREATE TABLE t(a); INSERT INTO t VALUES('a;b -- c /* d */'), ('x' || char(0) || 'y'), (''), (x''), (-0.0), (1e100), ('\u{FEFF}BOM');",
        "",
    ]

    /// What the shell writes of the applier's database.
    private func dump(_ database: Database, _ shell: Shell, as name: String) throws -> String {
        unlink(shell.path(name))
        try database.bytes().bytes.write(to: shell.path(name))
        return try shell.run(".dump\n", on: name)
    }

    @Test(arguments: schemas.indices, [false, true])
    func `A dump of SQLite's shell loads and comes out equal`(place: Int, hasForeignKeys: Bool)
        throws
    {
        let shell = try Shell()
        _ = try shell.run(Self.schemas[place], on: "source")
        let text = try shell.run(".dump\n", on: "source")
        // SQLite's own copy: virtual tables come at another place in it.
        _ = try shell.run(text, on: "copy")
        let right = try shell.run(".dump\n", on: "copy")
        let database = try Database(foreignKeys: hasForeignKeys)
        let reader = try database.reader()
        #expect(try reader.rows("SELECT count(*) FROM sqlite_schema") == ["0"])
        let outcomes = try database.execute(text)
        if case .failed(let message)? = outcomes.first { Issue.record("\(message)\n\(text)") }
        #expect(try dump(database, shell, as: "loaded") == right)
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
        #expect(try reader.rows("PRAGMA integrity_check") == ["ok"])
        #expect(try database.rows("PRAGMA foreign_keys") == [hasForeignKeys ? "1" : "0"])
        // And again, into a database that a node got as snapshot.
        let copy = try database.copied()
        #expect(try copy.dump() == (try database.dump()))
        #expect(try dump(copy, shell, as: "copied") == right)
    }

    @Test(arguments: schemas.indices)
    func `A dump sent as a list of statements loads alike`(place: Int) throws {
        let shell = try Shell()
        _ = try shell.run(Self.schemas[place], on: "source")
        let text = try shell.run(".dump\n", on: "source")
        let whole = try Database()
        try whole.execute(text)
        // Statements, found as SQLite finds them.
        var statements: [Statement] = []
        var rest = text[...]
        var statement = ""
        while let end = rest.firstIndex(of: ";") {
            statement += rest[...end]
            rest = rest[rest.index(after: end)...]
            if sqlite3_complete(statement) != 0 {
                statements.append(Statement(statement))
                statement = ""
            }
        }
        let parts = try Database()
        let result = try parts.apply(
            Command(
                kind: .execute, statements: statements,
                stamp: stamp(parts.applier.applied.position.index.next)))
        #expect(result.error == nil)
        for outcome in result.statements {
            if case .failed(let message) = outcome.outcome { Issue.record("\(message)") }
        }
        #expect(try parts.dump() == (try whole.dump()))
    }
}
