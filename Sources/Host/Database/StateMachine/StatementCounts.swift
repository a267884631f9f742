internal import Wire

/// What one connection ran of clients' requests since it was asked last, by the routes they came by and as
/// rqlite counts it: a text is one statement, however many stand in it.
package struct StatementCounts: Equatable, Sendable {
    /// Of one route.
    package struct Kind: Equatable, Sendable {
        /// All of them, also those that failed, or came behind the failure that ended their transaction.
        package var statements = 0
        /// Requests of which all statements were one transaction.
        package var transactions = 0

        fileprivate mutating func add(_ other: Kind) {
            statements += other.statements
            transactions += other.transactions
        }
    }

    /// Of `/db/execute`, and of queued writes.
    package var executions = Kind()
    /// Of `/db/query`.
    package var queries = Kind()
    /// Of `/db/request`.
    package var requests = Kind()
    /// Of all routes, statements that failed and could have written.
    package var failedWrites = 0
    /// The same of those that only read.
    package var failedReads = 0
    /// Of `/db/execute`: they gave rows, as RETURNING does.
    package var writesWithRows = 0

    /// The request was run.
    mutating func began(_ command: Command) {
        var route = Kind()
        route.statements = command.statements.count
        route.transactions = command.transaction ? 1 : 0
        switch command.kind {
        case .execute: executions.add(route)
        case .query: queries.add(route)
        case .request: requests.add(route)
        }
    }

    /// One of its statements is done.
    mutating func ended(_ outcome: StatementOutcome, isRead: Bool, of kind: CommandKind) {
        switch outcome {
        case .failed where isRead: failedReads += 1
        case .failed: failedWrites += 1
        case .rows where kind == .execute: writesWithRows += 1
        case .rows, .changed, .empty: break
        }
    }

    mutating func add(_ other: StatementCounts) {
        executions.add(other.executions)
        queries.add(other.queries)
        requests.add(other.requests)
        failedWrites += other.failedWrites
        failedReads += other.failedReads
        writesWithRows += other.writesWithRows
    }

    /// What was counted, which begins anew.
    mutating func take() -> StatementCounts {
        defer { self = StatementCounts() }
        return self
    }
}

/// Of an applier. What a transaction is rolled back with is run again, and counted then.
final class AppliedCounts {
    private var committed = StatementCounts()
    private var pending = StatementCounts()

    /// Within the open transaction.
    func add(_ command: Command, _ result: CommandResult) {
        pending.began(command)
        for statement in result.statements {
            pending.ended(statement.outcome, isRead: statement.isRead, of: command.kind)
        }
    }

    func commit() { committed.add(pending.take()) }

    func rollBack() { pending = StatementCounts() }

    func take() -> StatementCounts { committed.take() }
}

extension Applier {
    /// What it ran since it was asked last, as far as it is committed.
    package func takeCounts() -> StatementCounts { counts.take() }
}
