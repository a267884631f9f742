import Raft
import StateMachine
import Testing
import Wire

/// Virtual tables of a dump come into the schema as rows, beside which other statements of the
/// transaction make what they like: what no connection could read must go with the transaction.
@Suite struct UnreadableSchemaTests {
    private static let row = """
        INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','words','words',\
        0,'CREATE VIRTUAL TABLE words USING fts5(w)')
        """

    private static let bad: [[String]] = [
        [row, "CREATE TABLE words(x)"], [row, "CREATE TABLE WORDS AS SELECT 1"],
        [row, "CREATE VIEW words AS SELECT 1"], [row, "ALTER TABLE other RENAME TO words"],
        [row, "CREATE VIRTUAL TABLE words USING fts5(w)"], [row, "CREATE INDEX Words ON other(a)"],
        // SQLite reads the schema anew within the transaction.
        [
            row, "CREATE TABLE words(x)", "SAVEPOINT s", "CREATE TABLE q(x)", "ROLLBACK TO s",
            "INSERT INTO other VALUES(5)", "RELEASE s",
        ],
    ]

    @Test(arguments: bad.indices, [false, true])
    func `No rows of a dump leave a schema that can't be read`(_ index: Int, byFlag: Bool) throws {
        let database = try Database()
        try database.execute("CREATE TABLE other(a)", "INSERT INTO other VALUES(1)")
        var statements = ["PRAGMA writable_schema=ON"] + Self.bad[index]
        if !byFlag { statements = ["BEGIN"] + statements + ["COMMIT"] }
        let result = try database.apply(
            Command(
                kind: .execute, statements: statements.map { Statement($0) }, transaction: byFlag,
                stamp: stamp(database.applier.applied.position.index.next)))
        let failures = result.statements.filter { result in
            if case .failed = result.outcome { true } else { false }
        }
        #expect(result.error != nil || !failures.isEmpty)
        try database.execute("INSERT INTO other VALUES(2)")
        database.applier = try Applier(path: database.applier.path)
        #expect(try database.rows("SELECT max(a) < 6 FROM other") == ["1"])
        #expect(
            try database.rows(
                "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'words' AND rootpage > 0")
                == ["0"])
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
    }

    /// SQLite stores the text of a CREATE from the object's name on, and can't read what is left of some.
    @Test(
        arguments: [
            "CREATE TABLE IF NOT EXISTS IF(a)", "CREATE VIEW IF NOT EXISTS IF AS SELECT 1",
            "CREATE INDEX IF NOT EXISTS IF ON other(a)",
            "CREATE TRIGGER IF NOT EXISTS IF AFTER INSERT ON other BEGIN SELECT 1; END",
            "CREATE TABLE IF NOT EXISTS \"IF\"(a)", "CREATE TABLE main.IF(a)",
            "CREATE VIEW IF NOT EXISTS \"main\".IF AS SELECT 1",
            "create unique index main . if ON other(a)",
            "CREATE VIRTUAL TABLE main.IF USING fts5(a)",
        ], ["alone", "between BEGIN and COMMIT", "as a transaction"])
    func `A text that SQLite can't read back is its statement's error`(
        sql: String, way: String
    ) throws {
        let database = try Database()
        try database.execute("CREATE TABLE other(a)", "INSERT INTO other VALUES(1)")
        if way == "between BEGIN and COMMIT" {
            try database.execute("BEGIN", "INSERT INTO other VALUES(2)", sql, "COMMIT")
        } else {
            try database.execute(sql, transaction: way == "as a transaction")
        }
        #expect(
            try database.execute("CREATE TABLE later(a)", "INSERT INTO other(rowid) VALUES(9)")
                == [.empty, .changed(lastInsertID: 9, rowsAffected: 1)])
        database.applier = try Applier(path: database.applier.path)
        #expect(try database.rows("SELECT max(rowid) FROM other") == ["9"])
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
    }
}
