import Testing
import Wire

@testable import StateMachine

/// What a reader says of a statement follows from the database and the statement alone.
@Suite struct ReaderSchemaTests {
    private struct Change {
        var before: [String]
        var change: String
        var statement: String
    }

    private static let changes = [
        Change(
            before: [], change: "CREATE TABLE t(a); CREATE INDEX i ON t(a)", statement: "REINDEX"),
        Change(
            before: ["CREATE TABLE t(a)"], change: "CREATE INDEX i ON t(a)", statement: "REINDEX t"),
        Change(
            before: ["CREATE TABLE t(a, b)"], change: "ALTER TABLE t DROP COLUMN b",
            statement: "SELECT b FROM t"),
        Change(
            before: ["CREATE TABLE t(a)", "CREATE VIEW v AS SELECT a FROM t"],
            change: "DROP TABLE t", statement: "SELECT a FROM v"),
        Change(before: [], change: "CREATE TABLE t(a)", statement: "SELECT a FROM t"),
        Change(
            before: ["CREATE TABLE t(a)"], change: "DROP TABLE t",
            statement: "DROP TABLE IF EXISTS t"),
        Change(before: [], change: "CREATE TABLE t(a)", statement: "DROP TABLE IF EXISTS t"),
        Change(
            before: ["CREATE TABLE t(a)"], change: "DROP TABLE t",
            statement: "CREATE TABLE IF NOT EXISTS t(a)"),
        Change(
            before: [], change: "CREATE TABLE t(a)", statement: "CREATE TABLE IF NOT EXISTS t(a)"),
        Change(
            before: ["CREATE TABLE t(a)"], change: "CREATE INDEX i ON t(a)",
            statement: "DROP INDEX IF EXISTS i"),
        Change(
            before: ["CREATE TABLE t(a)"],
            change: "CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES('one')",
            statement: "SELECT x FROM f WHERE f MATCH 'one'"),
    ]

    private func answers(of reader: Reader, to sql: String) -> [String] {
        [CommandKind.query, .request].map { kind in
            let outcome = reader.run(Command(kind: kind, statements: [Statement(sql)]))
            guard case .result(var result) = outcome else { return "\(outcome)" }
            for place in result.statements.indices { result.statements[place].nanoseconds = 0 }
            return "\(result)"
        }
    }

    @Test func `What the schema takes is known when a reader has looked at it`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let reader = try database.reader()
        #expect(reader.schemaBytes == nil)
        #expect(try reader.rows("SELECT 1") == ["1"])
        #expect(reader.schemaBytes.map { $0 > 0 } == true)
    }

    @Test(arguments: changes.indices)
    func `A reader judges a statement by the schema that it answers from`(index: Int) throws {
        let change = Self.changes[index]
        let database = try Database()
        for sql in change.before { try database.execute(sql) }
        let old = try database.reader()
        // Twice, so that it is kept.
        for _ in 0..<2 { _ = answers(of: old, to: change.statement) }
        _ = answers(of: old, to: "SELECT name FROM sqlite_schema")
        try database.execute(change.change)
        let expected = answers(of: try database.reader(), to: change.statement)
        #expect(answers(of: old, to: change.statement) == expected)
        #expect(answers(of: old, to: change.statement) == expected)
    }
}
