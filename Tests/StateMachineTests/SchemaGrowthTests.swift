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
}
