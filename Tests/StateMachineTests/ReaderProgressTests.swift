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
}
