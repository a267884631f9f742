import Raft
import Testing
import Wire

@testable import StateMachine

/// When the database was last tidied up is a function of the log, and stands in the database.
@Suite struct UpkeepTests {
    private func apply(_ command: Command, at milliseconds: Int64, to database: Database) throws {
        var command = command
        command.stamp = Stamp(milliseconds: milliseconds, seed: 1)
        try database.apply(command)
    }

    @Test func `The times of the last VACUUM and ANALYZE survive a restart and other entries`()
        throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)")
        #expect(database.applier.applied.upkeep == UpkeepTimes())
        try apply(UpkeepTask.vacuum.command, at: 1_800_000_000_000, to: database)
        let first = UpkeepTimes(vacuum: 1_800_000_000_000)
        #expect(database.applier.applied.upkeep == first)
        database.applier = try Applier(path: database.applier.path)
        #expect(database.applier.applied.upkeep == first)
        // The log's clock never goes back.
        try apply(UpkeepTask.optimize.command, at: 1_700_000_000_000, to: database)
        try database.execute("INSERT INTO t VALUES(2)")
        let both = UpkeepTimes(vacuum: 1_800_000_000_000, optimize: 1_800_000_000_000)
        database.applier = try Applier(path: database.applier.path)
        #expect(database.applier.applied.upkeep == both)
        #expect(try database.rows("SELECT count(*) FROM sqlite_stat1") == ["1"])
    }

    @Test func `An attempt that fails counts, and so nodes agree whatever became of it`() throws {
        var limits = WriteLimits.initial
        limits.temporary = WriteLimits.least.temporary
        let database = try Database(writes: limits)
        try database.execute(
            "CREATE TABLE t(a)", "INSERT INTO t VALUES(randomblob(3000000))")
        var command = UpkeepTask.vacuum.command
        command.stamp = Stamp(milliseconds: 1_800_000_000_000, seed: 1)
        guard case .failed? = try database.apply(command).statements.first?.outcome else {
            Issue.record("VACUUM had room")
            return
        }
        #expect(database.applier.applied.upkeep == UpkeepTimes(vacuum: 1_800_000_000_000))
        database.applier = try Applier(path: database.applier.path)
        #expect(database.applier.applied.upkeep == UpkeepTimes(vacuum: 1_800_000_000_000))
    }

    @Test(
        arguments: [
            "VACUUM; SELECT 1", "SELECT 'VACUUM'", "ANALYZE", "PRAGMA optimize(1)", "",
        ])
    func `Other statements are not taken for upkeep`(sql: String) {
        #expect(UpkeepTask(Command(kind: .execute, statements: [Statement(sql)])) == nil)
        #expect(
            UpkeepTask(Command(kind: .query, statements: [Statement("VACUUM")])) == nil)
        for task in UpkeepTask.allCases { #expect(UpkeepTask(task.command) == task) }
    }
}
