import Synchronization
import Testing
import Wire

@testable import StateMachine

/// A read tells that it takes long, so that others come in between.
@Suite struct ReaderProgressTests {
    private final class Calls: Sendable {
        let count = Atomic<Int>(0)
    }

    /// SQLite reports nothing of any of them.
    @Test func `A read of many short statements tells that it takes long`() throws {
        let database = try Database()
        let script = (0..<1000).map { "SELECT \($0);" }
        let commands = [
            Command(kind: .query, statements: script.map { Statement($0) }),
            Command(kind: .query, statements: [Statement(script.joined())]),
            Command(kind: .request, statements: [Statement(script.joined())]),
        ]
        for command in commands {
            let calls = Calls()
            let reader = try Reader(
                path: database.applier.path,
                onProgress: { calls.count.add(1, ordering: .relaxed) })
            guard case .result = reader.run(command) else {
                Issue.record("it is a read")
                continue
            }
            #expect(calls.count.load(ordering: .relaxed) > 0)
        }
    }

    /// By what it allocates, or by lists that SQLite goes through again and again.
    @Test(arguments: [("1, ", 50_000), ("sum(1) OVER () AS a_name_of_some_length, ", 150)])
    func `What takes long to compile waits for a place, until its time is over`(
        part: String, count: Int
    ) throws {
        let parts = String(repeating: part, count: count) + "1"
        let sql = count > 1000 ? "SELECT 1 IN (\(parts))" : "SELECT \(parts)"
        let database = try Database()
        let gate = CompilationGate(places: 1)
        let reader = try Reader(path: database.applier.path, gate: gate)
        #expect(gate.enter(unless: { false }))
        for kind in [CommandKind.query, .request] {
            let outcome = reader.run(
                Command(kind: kind, statements: [Statement(sql)]),
                deadline: ContinuousClock.now + .milliseconds(20))
            guard case .result(let result) = outcome else {
                Issue.record("it is a read")
                continue
            }
            #expect(result.statements.map(\.outcome) == [.failed(Reader.timeoutText)])
        }
        #expect(try reader.rows("SELECT 1") == ["1"])
        #expect(!gate.enter(unless: { true }))
        gate.leave()
        let rows = try reader.rows(sql)
        #expect(rows.first?.hasPrefix("failed") == false, "\(rows)")
        // It was given back.
        #expect(gate.enter(unless: { true }))
    }
}
