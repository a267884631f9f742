import CSQLite
import SQLite
import Testing

@Suite struct ConnectionTests {
    @Test func `This library is fit for use`() {
        #expect(Engine.unfitness() == nil)
        #expect(Engine.compileOptions.contains { $0.hasPrefix("THREADSAFE") })
    }

    @Test func `A failure carries both codes and SQLite's text`() throws {
        let connection = try Connection(path: ":memory:", access: .create)
        try connection.execute("CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES(1)")
        let error = #expect(throws: SQLiteError.self) {
            try connection.execute("INSERT INTO t VALUES(1)")
        }
        #expect(error?.code == SQLITE_CONSTRAINT)
        #expect(error?.extendedCode == SQLITE_CONSTRAINT | 8 << 8)
        #expect(error?.message == "UNIQUE constraint failed: t.a")
    }

    @Test func `A frozen clock is the time everywhere`() throws {
        let connection = try Connection(path: ":memory:", access: .create)
        try connection.execute(
            """
            CREATE TABLE t(a, d DEFAULT CURRENT_TIMESTAMP);
            CREATE VIEW v AS SELECT datetime() AS d;
            CREATE TRIGGER g AFTER INSERT ON t BEGIN
            UPDATE t SET a = strftime('%s', 'now') WHERE rowid = new.rowid; END
            """)
        csqlite_freeze_clock(1_000_000_000_000)
        defer { csqlite_release_clock() }
        try connection.execute("INSERT INTO t(a) VALUES(1)")
        #expect(
            try connection.text("SELECT a || ' ' || t.d || ' ' || v.d FROM t, v")
                == "1000000000 2001-09-09 01:46:40 2001-09-09 01:46:40")
        csqlite_release_clock()
        #expect(try connection.text("SELECT d FROM v") != "2001-09-09 01:46:40")
    }

    @Test func `Compiling stops at the end of the first statement`() throws {
        let connection = try Connection(path: ":memory:", access: .create)
        let bytes = Array(" ; SELECT 1; SELECT 2".utf8)
        let first = bytes.withUnsafeBytes {
            PreparedStatement.compile($0, on: connection.pointer, isPersistent: false)
        }
        #expect(first.code == SQLITE_OK)
        #expect(first.consumed == 12)
        guard let pointer = first.statement else { return }
        let statement = PreparedStatement(owning: pointer)
        #expect(try statement.step())
        #expect(statement.integer(at: 0) == 1)
    }
}
