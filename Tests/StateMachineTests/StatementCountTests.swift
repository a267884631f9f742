import Raft
import Testing
import Wire

@testable import StateMachine

/// What `/debug/vars` is told of statements.
@Suite struct StatementCountTests {
    @Test func `What is committed is counted once, also where a batch is run again`() throws {
        let database = try Database()
        try database.execute("CREATE TABLE t(a UNIQUE)", "INSERT INTO t VALUES(1) RETURNING a")
        try database.execute(
            "INSERT INTO t VALUES(1)", "INSERT INTO t VALUES(2)", transaction: true)
        // Each of them ends the transaction of its batch.
        try database.execute("INSERT OR ROLLBACK INTO t VALUES(1)", "VACUUM")
        try database.request("SELECT nothing", "SELECT 1")
        let counts = database.applier.takeCounts()
        #expect(counts.executions.statements == 6)
        #expect(counts.executions.transactions == 1)
        #expect(counts.requests.statements == 2)
        #expect(counts.requests.transactions == 0)
        #expect(counts.queries.statements == 0)
        #expect(counts.failedWrites == 3)
        #expect(counts.writesWithRows == 1)
        #expect(database.applier.takeCounts() == StatementCounts())
    }

    @Test func `A read is counted by its reader, and what it hands on to the log is not`() throws {
        let database = try Database()
        let reader = try database.reader()
        _ = reader.run(
            Command(
                kind: .query, statements: [Statement("SELECT 1"), Statement("SELECT nothing")],
                transaction: true))
        _ = reader.run(Command(kind: .request, statements: [Statement("SELECT 2")]))
        let written = reader.run(
            Command(kind: .request, statements: [Statement("CREATE TABLE t(a)")]))
        #expect(written == .needsWrite)
        let counts = reader.takeCounts()
        #expect(counts.queries.statements == 2)
        #expect(counts.queries.transactions == 1)
        #expect(counts.requests.statements == 1)
        #expect(counts.failedReads == 1)
        #expect(counts.failedWrites == 0)
        #expect(reader.takeCounts() == StatementCounts())
    }
}
