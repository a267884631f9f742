import Testing
import Wire

@testable import StateMachine

/// An index must not come to disagree with its table, whatever ALTER TABLE makes of the names in it: SQLite
/// takes that for a damaged file, on every node.
@Suite struct ColumnNameTests {
    private struct Change {
        var schema: String
        var alter: String
    }

    private static let changes = [
        Change(
            schema: "CREATE INDEX i ON t(a) WHERE b = \"active\"",
            alter: "ALTER TABLE t ADD COLUMN active DEFAULT 'x'"),
        Change(
            schema: "CREATE INDEX i ON t(a, \"Active\")",
            alter: " ;ALTER TABLE main.\"T\" ADD [actiVe]"),
        Change(
            schema: "ALTER TABLE t ADD COLUMN g AS (b || \"active\"); CREATE INDEX i ON t(g)",
            alter: "ALTER TABLE t ADD COLUMN active"),
        Change(
            schema: "CREATE INDEX i ON t(a) WHERE a <> \"active\"",
            alter: "ALTER TABLE t RENAME COLUMN b TO active"),
        Change(
            schema: "CREATE INDEX i ON t(a) WHERE rowid < 2",
            alter: "ALTER TABLE t ADD COLUMN rowid DEFAULT 0"),
        Change(
            schema: "CREATE INDEX i ON t(a) WHERE \"oid\" < 2",
            alter: "ALTER TABLE t RENAME COLUMN b TO OID"),
        Change(
            schema: "ALTER TABLE t ADD COLUMN rowid; CREATE INDEX i ON t(a) WHERE rowid < 2",
            alter: "ALTER TABLE t DROP COLUMN rowid"),
        Change(
            schema: "CREATE INDEX i ON t(a) WHERE a < 2 = true",
            alter: "ALTER TABLE t ADD COLUMN true DEFAULT 7"),
        Change(
            schema: "CREATE INDEX i ON t(a) WHERE a < 2 = true",
            alter: "ALTER TABLE t RENAME b TO \"true\""),
    ]

    private func database() throws -> Database {
        let database = try Database()
        try database.execute(
            "CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 'active'), (2, 'x'), (3, NULL)")
        return database
    }

    @Test(arguments: changes.indices)
    func `No ALTER TABLE gives a name in an index another meaning`(index: Int) throws {
        let change = Self.changes[index]
        let database = try database()
        for case .failed(let text) in try database.execute(change.schema) {
            Issue.record("\(text)")
        }
        // What is kept is judged, too.
        for restarts in [false, false, true] {
            if restarts { database.applier = try Applier(path: database.applier.path) }
            let outcomes = try database.execute(change.alter, "INSERT INTO t(a) VALUES(4)")
            guard case .failed(let text)? = outcomes.first else {
                Issue.record("\(outcomes)")
                return
            }
            #expect(text.contains("would come to mean something else"), "\(text)")
            #expect(outcomes.count == 2)
        }
        #expect(
            try database.execute("DELETE FROM t") == [.changed(lastInsertID: 0, rowsAffected: 6)])
        #expect(try database.reader().rows("PRAGMA integrity_check") == ["ok"])
        // Without the index it is a change as any.
        try database.execute("DROP INDEX i")
        if !change.schema.contains(" AS ") {
            #expect(try database.execute(change.alter) == [.empty])
        }
    }

    @Test func `Names that stand where no index reads them are no matter`() throws {
        let database = try database()
        for sql in [
            "CREATE TABLE \"tag\"(\"name\", b DEFAULT true, g AS (b + 1))",
            "CREATE INDEX \"ix\" ON \"tag\"(\"name\") WHERE b = 'new' OR b = 'oid'",
            "ALTER TABLE tag ADD COLUMN tag", "ALTER TABLE tag ADD COLUMN ix",
            "ALTER TABLE tag ADD COLUMN new", "ALTER TABLE tag ADD oid",
            "ALTER TABLE tag RENAME COLUMN new TO old", "ALTER TABLE tag DROP COLUMN old",
            "CREATE TABLE c(a CHECK(a <> \"x\"))", "ALTER TABLE c ADD COLUMN x",
            "CREATE INDEX i ON t(a, b) WHERE rowid < 3", "ALTER TABLE t ADD COLUMN c",
            "ALTER TABLE t RENAME COLUMN a TO z", "ALTER TABLE t DROP COLUMN c",
            "ALTER TABLE t RENAME TO s",
        ] {
            #expect(try database.execute(sql) == [.empty], "\(sql)")
        }
        #expect(try database.reader().rows("PRAGMA integrity_check") == ["ok"])
    }
}
