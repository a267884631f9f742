import StateMachine
import Testing
import Wire

/// EXPLAIN tells about a statement and carries nothing out.
@Suite struct ExplainTests {
    @Test(arguments: ["EXPLAIN", "EXPLAIN QUERY PLAN"])
    func `What is only explained neither opens, ends nor sets anything`(prefix: String) throws {
        let database = try Database(foreignKeys: true)
        try database.execute("CREATE TABLE t(a)", "CREATE TABLE c(t REFERENCES p)")
        // Each as one text, and as texts of their own.
        try database.execute("\(prefix) BEGIN; INSERT INTO t VALUES(1)")
        try database.execute("\(prefix) SAVEPOINT s; INSERT INTO t VALUES(2)")
        try database.execute("\(prefix) BEGIN", "INSERT INTO t VALUES(3)")
        for word in ["ROLLBACK", "COMMIT", "ROLLBACK TO s", "RELEASE s"] {
            try database.execute(
                "BEGIN", "SAVEPOINT s", "INSERT INTO t VALUES(4)", "\(prefix) \(word)",
                "INSERT INTO t VALUES(5)", "RELEASE s", "COMMIT")
            try database.execute(
                "BEGIN", "SAVEPOINT s", "INSERT INTO t VALUES(6)", "\(prefix) \(word)", "ROLLBACK")
        }
        #expect(
            try database.rows("SELECT group_concat(a) FROM t") == ["1,2,3,4,5,4,5,4,5,4,5"])
        let outcomes = try database.execute(
            "\(prefix) PRAGMA foreign_keys=OFF", "INSERT INTO c VALUES(9)")
        guard case .failed? = outcomes.last else {
            Issue.record("foreign keys were off: \(outcomes)")
            return
        }
    }
}
