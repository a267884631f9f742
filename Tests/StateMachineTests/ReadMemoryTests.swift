import Glibc
import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// A read can't take the memory of the node that carries it out, whatever it holds it in.
@Suite(.serialized) struct ReadMemoryTests {
    /// Expects that the query ends on a reader with the bound on memory, on the connection that writes with this one or
    /// that on steps, and that both go on.
    private func expectBound(_ sql: String, _ value: Value, in database: Database) throws {
        let reader = try database.reader()
        let command = Command(kind: .query, statements: [Statement(sql, positional: [value])])
        guard case .result(let read) = reader.run(command) else {
            Issue.record("it is a read")
            return
        }
        #expect(read.statements.map(\.outcome) == [.failed(WriteRoom.memoryText)])
        let written = "\(try database.apply(command).statements.map(\.outcome))"
        #expect(
            written.contains(WriteRoom.memoryText) || written.contains("needs more than"),
            "\(written)")
        #expect(try reader.rows("SELECT 1") == ["1"])
        #expect(
            try database.execute("INSERT INTO t VALUES(1)")
                == [.changed(lastInsertID: 1, rowsAffected: 1)])
    }

    /// Each has a register of its own, which keeps its value.
    @Test func `Subqueries that keep values of less than 256 KiB have a bound together`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        let columns = (0..<1500).map { column in
            (0..<3).map { "length((SELECT hex(zeroblob(?1 + \(3 * column + $0)))))" }
                .joined(separator: "+")
        }
        try expectBound(
            "SELECT \(columns.joined(separator: ","))", .integer(125_000), in: database)
    }

    static func reader(_ database: Database, all: Int64) throws -> Reader {
        var limits = ApplierLimits()
        limits.allReadsMemoryBytes = all
        return try Reader(path: database.applier.path, limits: limits)
    }

    /// Each may hold 16 MiB beside that. In a process of its own: what the readers of other tests hold counts, too.
    @Test func `All reads together have a bound on memory, and give back what they held`() async {
        await #expect(processExitsWith: .success) {
            let database = try Database()
            let large = "SELECT length(hex(zeroblob(30000000)))"
            let poor = try ReadMemoryTests.reader(database, all: 8 << 20)
            guard try poor.rows(large) == ["failed: \(WriteRoom.readersText)"] else { exit(3) }
            let small = "SELECT length(hex(zeroblob(3000000)))"
            guard try poor.rows(small) == ["6000000"] else { exit(4) }
            let rich = try ReadMemoryTests.reader(database, all: 256 << 20)
            for _ in 0..<5 {
                guard try rich.rows(large) == ["60000000"] else { exit(5) }
            }
        }
    }

    @Test func `What compiling takes counts among what all reads hold`() throws {
        let database = try Database()
        let list = String(repeating: "1,", count: 250_000)
        let sql = "SELECT 1 IN (\(list)1)"
        let poor = try Self.reader(database, all: 1 << 20)
        #expect(try poor.rows(sql) == ["failed: \(WriteRoom.readersText)"])
        #expect(try poor.rows("SELECT 1 IN (1, 2)") == ["1"])
        // The usual bound is more than all that other tests hold at the same time.
        #expect(try database.reader().rows(sql) == ["1"])
    }

    /// Each cursor keeps a page of the index for each word of its query.
    @Test func `Cursors on full-text tables have a bound together`() throws {
        let database = try Database()
        let words = (0..<2000).map { "b\($0)" }.joined(separator: " ")
        try database.execute(
            "CREATE TABLE t(a)", "CREATE VIRTUAL TABLE f USING fts5(w)",
            "INSERT INTO f VALUES('a \(words)')")
        let queries = Array(repeating: "(SELECT 1 FROM f(?1))", count: 60)
        let phrase = "\"" + String(repeating: "a ", count: 16_000) + "\""
        try expectBound(
            "SELECT \(queries.joined(separator: ","))", .text(phrase), in: database)
        #expect(try database.reader().rows("SELECT count(*) FROM f('a b7')") == ["1"])
    }
}
