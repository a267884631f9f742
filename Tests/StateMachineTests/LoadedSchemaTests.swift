import Scratch
import Testing
import Wire

@testable import StateMachine

/// What comes of the schema of a file that is to be loaded, where it holds virtual tables.
@Suite struct LoadedSchemaTests {
    private let shell: ShellDumpTests.Shell
    private let database: Database
    private let reader: LoadReader

    init() throws {
        shell = try ShellDumpTests.Shell()
        database = try Database()
        reader = LoadReader(
            directory: database.directory.path, packedBytes: 60 << 20,
            newID: { LoadID(high: 1, low: 2) })
    }

    private func isTaken(_ script: String) throws -> Bool {
        let content = try content(of: script)
        guard case .image = content else {
            Issue.record("\(content)")
            return false
        }
        return true
    }

    /// Of a file in which the script is run, behind those before.
    private func content(of script: String) throws -> LoadContent {
        _ = try shell.run(script, on: "source")
        let bytes = try #require(LoadFile.bytes(of: shell.path("source"), at: 0, 16 << 20))
        let upload = reader.begin()
        _ = upload.add(bytes)
        return upload.finish()
    }

    @Test func `A file's full-text table has each prefix once, as one that a client makes`()
        throws
    {
        let lengths = String(repeating: "1,", count: 40) + "1"
        let content = try content(of: "CREATE VIRTUAL TABLE f USING fts4(a, prefix='\(lengths)');")
        guard case .unfit(let text) = content else {
            Issue.record("\(content)")
            return
        }
        #expect(text.contains("its \"f\" can't be made here") && text.contains("each length once"))
    }

    @Test func `Rows that break a rule of their table hide no damage behind them`() throws {
        // They alone are none.
        #expect(
            try isTaken(
                """
                CREATE TABLE t(a, c);
                WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n WHERE x < 100)
                INSERT INTO t SELECT x, NULL FROM n;
                INSERT INTO t VALUES(1000, 3);
                CREATE INDEX i ON t(a) WHERE a < 1000;
                PRAGMA writable_schema=ON;
                UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a, c NOT NULL)' WHERE name = 't';
                """))
        let damaged = try content(
            of: """
                PRAGMA writable_schema=ON;
                UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(a)' WHERE name = 'i';
                """)
        guard case .unfit(let text) = damaged else {
            Issue.record("\(damaged)")
            return
        }
        #expect(text.contains("index i"), "\(text)")
    }

    /// SQLite keeps the number, and says of each that it is none that the column has.
    @Test func `A file is taken though a million values break a rule of their table`() throws {
        let columns = (0..<10).map { "ALTER TABLE t ADD COLUMN c\($0) TEXT DEFAULT TRUE;" }
        #expect(
            try isTaken(
                """
                CREATE TABLE t(a);
                WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n WHERE x < 100001)
                INSERT INTO t SELECT 'a row of an honest table' FROM n;
                \(columns.joined(separator: "\n"))
                """))
    }

    /// As SQLite says it from 3.44 on: of `fts4(content="t")` for each row of `t` that is not in the index.
    @Test func `A full-text index that is not in step with what it is of is no damage`() {
        for kind in ["FTS3", "FTS4"] {
            let index = "inverted index for \(kind) table main.f"
            #expect(DatabaseDirectory.isAboutContent("malformed \(index)"))
            #expect(
                DatabaseDirectory.isAboutContent(
                    "unable to validate the \(index): SQL logic error"))
        }
        // It looks at its own tables alone.
        #expect(
            !DatabaseDirectory.isAboutContent("malformed inverted index for FTS5 table main.f"))
    }

    @Test func `A file is taken though a column can't be worked out for a row`() throws {
        #expect(
            try isTaken(
                """
                CREATE TABLE t(a); INSERT INTO t VALUES(-9223372036854775808);
                ALTER TABLE t ADD COLUMN b INT AS (abs(a));
                """))
    }

    @Test func `An index with doubles is refused, whatever its name`() throws {
        let found = try content(
            of: """
                CREATE TABLE t(a); INSERT INTO t VALUES(1), (1); CREATE INDEX "a value in b" ON t(a);
                PRAGMA writable_schema=ON;
                UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX "a value in b" ON t(a)' WHERE type = 'index';
                """)
        guard case .unfit(let text) = found else {
            Issue.record("\(found)")
            return
        }
        #expect(text.contains("non-unique"), "\(text)")
    }

    /// Beside a virtual table each CREATE costs a reading of the schema so far: in one request these would
    /// have no steps left.
    @Test func `A file with many objects and a full-text table is taken`() throws {
        let comment = String(repeating: "x", count: 30_000)
        let tables = (0..<200).map { "CREATE TABLE t\($0)(a /* \(comment) */);" }
        #expect(
            try isTaken(
                """
                BEGIN; CREATE VIRTUAL TABLE words USING fts5(w);
                \(tables.joined(separator: "\n"))
                CREATE INDEX i ON t1(a); CREATE VIEW v AS SELECT w FROM words;
                CREATE TRIGGER r AFTER INSERT ON t0 BEGIN INSERT INTO words VALUES(new.a); END;
                COMMIT;
                """))
    }

    @Test func `A table with the name of a virtual one before its own is taken`() throws {
        #expect(
            try isTaken(
                "CREATE TABLE docs_history(a); CREATE VIRTUAL TABLE docs USING fts5(w);"
                    + "CREATE INDEX docs_i ON docs_history(a); CREATE VIEW docs_v AS SELECT 1;"))
    }

    @Test func `A full-text table finds what it takes its columns from`() throws {
        #expect(
            try isTaken(
                "CREATE TABLE t(a, b); CREATE VIRTUAL TABLE f USING fts4(content=\"t\");"))
    }
}
