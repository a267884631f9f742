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
}
