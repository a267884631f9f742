import Testing
import Wire

@testable import StateMachine

/// Each connection has the whole schema in memory, and a node reads it at its start.
@Suite struct SchemaGrowthTests {
    private func refused(_ outcomes: [StatementOutcome]) -> [Bool] {
        outcomes.map { "\($0)".contains("the schema would be too large") }
    }

    @Test func `A schema has a bound, and what takes something away is let in`() throws {
        let database = try Database()
        func limit(to bytes: Int) { database.applier.session.guardian.mostSchemaBytes = bytes }
        limit(to: 40_000)
        let list = String(repeating: "1,", count: 400)
        let view = "SELECT 1 IN (\(list)1)"
        try database.execute("CREATE TABLE t(a)")
        #expect(try refused(database.execute("CREATE VIEW v AS \(view)")) == [false])
        for _ in 0..<2 {
            #expect(try refused(database.execute("CREATE VIEW w AS \(view)")) == [true])
            let text = String(repeating: "x", count: 20_000)
            #expect(
                try refused(database.execute("ALTER TABLE t ADD b DEFAULT '\(text)'")) == [true])
            #expect(
                try refused(database.execute("ALTER TABLE t RENAME TO \(text)")) == [true])
            #expect(try refused(database.execute("ALTER TABLE t RENAME TO s")) == [false])
            #expect(try refused(database.execute("ALTER TABLE s RENAME TO t")) == [false])
            #expect(try refused(database.execute("CREATE TABLE IF NOT EXISTS t(a)")) == [false])
            // What is known of the schema then is what the file says.
            database.applier = try Applier(path: database.applier.path)
            limit(to: 40_000)
        }
        let both = "CREATE VIEW w AS \(view); CREATE VIEW x AS \(view)"
        #expect(try refused(database.execute("DROP VIEW v", both)) == [false, true])
        #expect(
            try refused(database.execute("DROP VIEW w", "CREATE VIEW w AS \(view)")) == [
                false, false,
            ])
    }

    /// SQLite has these names in one list.
    @Test(arguments: [
        ("TABLE", "", "(a)"), ("VIEW", "", " AS SELECT 1"), ("INDEX", "", " ON t(a)"),
        ("TRIGGER", "", " AFTER INSERT ON t BEGIN SELECT 1; END"),
        ("TABLE", "x", "(a REFERENCES ?, b REFERENCES \"?\")"),
    ])
    func `A list of names in the schema has a bound`(kind: String, front: String, rest: String)
        throws
    {
        let names = ["t98", "T287", "t368", "t449", "t485", "t566", "t647", "t683"]
        let database = try Database()
        database.applier.session.guardian.mostInList = 6
        try database.execute("CREATE TABLE t(a)")
        func refused(_ sql: String) throws -> Bool {
            "\(try database.execute(sql))".contains("keeps in one list")
        }
        for (place, name) in names.enumerated() {
            let text = rest.split(separator: "?", omittingEmptySubsequences: false)
                .joined(separator: name)
            let made = front.isEmpty ? name : "\(front)\(place)"
            #expect(try refused("CREATE \(kind) \(made)\(text)") == (place >= 6), "\(name)")
        }
        #expect(try refused("CREATE TABLE z(a)"))
        #expect(try refused("ALTER TABLE t ADD COLUMN b"))
        #expect(try !refused("INSERT INTO t VALUES(1)"))
        #expect(try !refused("DROP \(kind) \(front.isEmpty ? names[0] : "x0")"))
        #expect(try database.execute("CREATE TABLE z(a)") == [.empty])
    }

    /// As dumps bring them; SQLite sees them at the end of the transaction.
    private static func rows(_ count: Int) -> [String] {
        (0..<count).map {
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) "
                + "VALUES('table','t\($0)','t\($0)',0,'CREATE VIRTUAL TABLE t\($0) USING fts4(a)')"
        }
    }

    private func load(_ rows: [String], to database: Database) throws -> String {
        let texts = ["PRAGMA writable_schema=ON", "BEGIN"] + rows + ["ROLLBACK"]
        let result = try database.apply(
            Command(kind: .execute, statements: texts.map { Statement($0) }))
        return "\(result)"
    }

    @Test func `Virtual tables of a dump count before they are committed`() throws {
        let database = try Database()
        let budget = database.applier.session.budget
        let before = budget.charged
        #expect(try !load(Self.rows(100), to: database).contains("failed"))
        // A row that is looked for among few costs a callback's steps, which are 10,000.
        #expect(budget.charged - before > 2_000_000)
        #expect(try database.execute("CREATE TABLE t0(a)") == [.empty])
        let guardian = database.applier.session.guardian
        guardian.mostInList = 4
        #expect(try load(Self.rows(200), to: database).contains("keeps in one list"))
        guardian.mostInList = 4096
        guardian.mostSchemaBytes = 20_000
        #expect(try load(Self.rows(100), to: database).contains("would be too large"))
    }

    @Test func `A table has no more indexes than SQLite reads in no time`() throws {
        let database = try Database()
        database.applier.session.guardian.mostIndexes = 3
        let outcomes = try database.execute(
            "CREATE TABLE t(a UNIQUE, b)", "CREATE INDEX i ON t(b)", "CREATE INDEX j ON T(a, b)",
            "CREATE INDEX k ON t(a)", "CREATE INDEX IF NOT EXISTS i ON t(b)", "DROP INDEX j",
            "CREATE INDEX k ON t(a)")
        #expect(
            outcomes.map { "\($0)".contains("too many indexes") }
                == [false, false, false, true, false, false, false])
        #expect(outcomes.suffix(1) == [.empty])
    }

    @Test func `The columns that a table's triggers name have a bound`() throws {
        let database = try Database()
        database.applier.session.guardian.mostListed = 10
        let list = "b, b, c, d, b, b"
        let body = "ON T BEGIN SELECT 1, 2; END"
        let outcomes = try database.execute(
            "CREATE TABLE t(a, b)", "CREATE TRIGGER i UPDATE OF \(list) \(body)",
            "CREATE TRIGGER j AFTER UPDATE OF \(list) \(body)",
            "CREATE TRIGGER j AFTER UPDATE OF a, b \(body)", "CREATE TRIGGER k INSERT \(body)",
            "DROP TRIGGER i", "CREATE TRIGGER i UPDATE OF \(list) \(body)")
        #expect(
            outcomes.map { "\($0)".contains("too many columns behind UPDATE OF") }
                == [false, false, true, false, false, false, false])
        #expect(outcomes.suffix(1) == [.empty])
    }

    @Test func `A table has a bound on its foreign keys`() throws {
        let database = try Database()
        for (count, isRefused) in [(500, false), (4001, true)] {
            let keys = String(repeating: ", a REFERENCES p", count: count)
            let text = "CREATE TABLE t(b\(keys))"
            let size = Array(text.utf8).withUnsafeBytes { StatementSize($0) }
            #expect((size.refusal(stepsLeft: 1_000_000) != nil) == isRefused)
        }
        #expect(try database.execute("CREATE TABLE t(a REFERENCES t)") == [.empty])
    }
}
