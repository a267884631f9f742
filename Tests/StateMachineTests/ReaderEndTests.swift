import Testing
import Wire

@testable import StateMachine

/// What a read that ends before its time leaves to the next one.
@Suite struct ReaderEndTests {
    /// BEGIN and ROLLBACK take three steps each, and are asked whether they may go on in some of 1,365 runs.
    @Test func `However many reads end at their time, the next ones are served`() throws {
        let database = try Database()
        let reader = try database.reader()
        let query = Command(kind: .query, statements: [Statement("SELECT 1")])
        for _ in 0..<6000 { _ = reader.run(query, deadline: ContinuousClock.now) }
        #expect(try reader.rows("SELECT 2") == ["2"])
    }
}
