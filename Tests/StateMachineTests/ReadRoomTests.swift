import Testing
import Wire

@testable import StateMachine

/// Who may only read can't fill the disk of log and database.
@Suite struct ReadRoomTests {
    /// Takes about a kilobyte of temporary room for each row.
    private static func gathering(_ rows: Int) -> String {
        "SELECT count(*) FROM (SELECT DISTINCT hex(randomblob(500)) FROM (WITH RECURSIVE n(i) AS "
            + "(SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT \(rows)) SELECT i FROM n))"
    }

    private func reader(_ database: Database, one: Int64, all: Int64) throws -> Reader {
        var limits = ApplierLimits()
        limits.readTemporaryBytes = one
        limits.allReadsTemporaryBytes = all
        return try Reader(path: database.applier.path, limits: limits)
    }

    @Test func `A read that needs more temporary room than it may ends with an error`() throws {
        let database = try Database()
        let small = try reader(database, one: 1 << 20, all: 1 << 40)
        #expect(
            try small.rows(Self.gathering(20_000)) == [
                "failed: the read needs more than 1048576 bytes of temporary files: ask for fewer "
                    + "rows at once"
            ])
        #expect(try small.rows(Self.gathering(100)) == ["100"])
        // What the thread does then has no such limit.
        #expect(try database.reader().rows(Self.gathering(20_000)) == ["20000"])
        try database.execute("CREATE TABLE t(a)")
        #expect(
            try database.execute("INSERT INTO t \(Self.gathering(20_000))")
                == [.changed(lastInsertID: 1, rowsAffected: 1)])
    }

    @Test func `All reads together have a bound, and give back what they held`() throws {
        let database = try Database()
        let poor = try reader(database, one: 1 << 40, all: 1 << 20)
        #expect(
            try poor.rows(Self.gathering(20_000)) == [
                "failed: the reads of this node need more than 1048576 bytes of temporary files "
                    + "together: try again later"
            ])
        let rich = try reader(database, one: 1 << 40, all: 200 << 20)
        for _ in 0..<15 { #expect(try rich.rows(Self.gathering(20_000)) == ["20000"]) }
    }
}
