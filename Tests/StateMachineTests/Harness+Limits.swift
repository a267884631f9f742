import Scratch
import Testing
import Wire

extension Database {
    /// Expects that a write ends with the limit on steps, in time, and that writing goes on: the database
    /// has a table `t` of one column.
    func expectLimit(
        of steps: UInt64, on sql: String, within limit: Duration,
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let start = ThreadTime.now
        let outcomes = try execute(sql)
        let taken = ThreadTime.now - start
        guard case .failed(let text)? = outcomes.first else {
            Issue.record("\(outcomes)", sourceLocation: location)
            return
        }
        #expect(
            text.contains("needs more than \(steps) steps"), "\(text)", sourceLocation: location)
        #expect(taken < limit, "\(sql): \(taken)", sourceLocation: location)
        #expect(
            try execute("INSERT INTO t VALUES(1)")
                == [.changed(lastInsertID: 1, rowsAffected: 1)], sourceLocation: location)
    }
}
