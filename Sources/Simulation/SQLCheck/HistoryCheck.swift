internal import Wire

/// Applies a history in all ways and says where they differ.
package struct HistoryCheck: Sendable {
    /// Entries applied and answers compared, all ways together.
    package struct Counts: Equatable, Sendable {
        /// Of the histories, each counted once.
        package var entries = 0
        /// Entries after which a node restarted.
        package var restarts = 0
        /// Answers that SQLite judged.
        package var judged = 0
        /// Entries with an error in their answer.
        package var failures = 0
        /// Requests that a reader answered, too.
        package var readings = 0

        /// Nothing yet.
        package init() {}

        /// Both together.
        package static func += (a: inout Counts, b: Counts) {
            a.entries += b.entries
            a.restarts += b.restarts
            a.judged += b.judged
            a.failures += b.failures
            a.readings += b.readings
        }
    }

    /// Of all histories checked so far.
    package private(set) var counts = Counts()
    /// Also restarts after every entry.
    private let restarts: Bool

    /// - Parameter restarts: also restart after every entry.
    package init(restarts: Bool) {
        self.restarts = restarts
    }

    /// What differs, in words; nil when nothing does.
    package mutating func difference(in history: History) -> String? {
        counts.entries += history.commands.count
        do {
            let expected = try Replica.outcome(of: history, applied: .single)
            counts.failures += expected.answers.values.count { $0.holdsFailure }
            if let text = misreading(expected) { return text }
            for way in Replica.Way.allCases where way != .single {
                if way == .restarted {
                    guard restarts else { continue }
                    counts.restarts += history.commands.count
                }
                let found = try Replica.outcome(of: history, applied: way)
                if let text = difference(found, expected, history) { return "\(way): \(text)" }
            }
            return history.isJudged ? try judge(history, expected) : nil
        } catch {
            return "\(error)"
        }
    }

    /// Where a reader said something else than the connection that writes.
    private mutating func misreading(_ outcome: Replica.Outcome) -> String? {
        counts.readings += outcome.readings.count
        for (place, reading) in outcome.readings.sorted(by: { $0.key < $1.key }) {
            // Budgets are of writes alone.
            guard let answer = outcome.answers[place], !answer.meetsLimit else { continue }
            var reading = reading
            reading.logIndex = answer.logIndex
            if reading == answer { continue }
            return "reader, entry \(place + 1): \(reading) in place of \(answer)"
        }
        return nil
    }

    private func difference(
        _ found: Replica.Outcome, _ expected: Replica.Outcome, _ history: History
    ) -> String? {
        for place in history.commands.indices {
            guard let answer = found.answers[place], answer != expected.answers[place] else {
                continue
            }
            return "entry \(place + 1): \(answer) in place of "
                + "\(String(describing: expected.answers[place]))"
        }
        if let text = difference(found.rows, expected.rows) { return text }
        if found.trace != expected.trace { return "the rows are equal, their traces are not" }
        return found.scrub == expected.scrub ? nil : "the rows are equal, their scrubs are not"
    }

    private func difference(_ found: [DumpedTable], _ expected: [DumpedTable]) -> String? {
        for table in expected where !found.contains(table) {
            let other = found.first { $0.name == table.name }
            let lines = other.map { $0.lines.difference(from: table.lines) }
            return "rows of \(table.name) differ: \(lines.map { "\($0)" } ?? "it is missing")"
        }
        return found.count == expected.count ? nil : "there are more tables"
    }

    // MARK: SQLite's own answers

    private mutating func judge(_ history: History, _ expected: Replica.Outcome) throws -> String? {
        let sqlite = try PlainSQLite(foreignKeys: history.foreignKeys)
        for place in history.commands.indices {
            let command = history.stamped(place)
            guard let answer = expected.answers[place] else { continue }
            // Budgets and limits are the daemon's alone; from there on the databases may differ.
            if answer.meetsLimit { return nil }
            let judgement = try sqlite.answer(command, at: command.stamp.milliseconds)
            guard let judgement else { return nil }
            let outcomes =
                answer.error.map { [.failed($0)] } ?? answer.statements.map(\.outcome)
            let given = outcomes.map(Self.plain)
            let right = judgement.map(Self.plain)
            counts.judged += 1
            if given != right {
                return "entry \(place + 1): \(given), SQLite says \(right)"
            }
        }
        return try difference(
            Self.comparable(expected.rows), Self.comparable(sqlite.rows())
        )
        .map { "SQLite has: \($0)" }
    }

    /// Without what SQLite was not asked for.
    private static func plain(_ outcome: StatementOutcome) -> StatementOutcome {
        switch outcome {
        case .rows(let rows):
            .rows(RowSet(columns: [], types: [], rowCount: rows.rowCount, cells: rows.cells))
        case .changed(_, let rowsAffected): .changed(lastInsertID: 0, rowsAffected: rowsAffected)
        case .empty, .failed: outcome
        }
    }

    /// The daemon's own table takes a page, so roots differ, and a place in SQLite's hash tables, so
    /// ANALYZE goes through the others in another order.
    private static func comparable(_ tables: [DumpedTable]) -> [DumpedTable] {
        tables.filter { $0.name != "sqlite_schema" && $0.name != "sqlite_stat1" }
    }
}

extension CommandResult {
    fileprivate var holdsFailure: Bool {
        error != nil
            || statements.contains {
                if case .failed = $0.outcome { true } else { false }
            }
    }

    fileprivate var meetsLimit: Bool {
        statements.contains {
            guard case .failed(let text) = $0.outcome else { return false }
            return text.hasPrefix("the request needs") || text.hasPrefix("the result is larger")
                || text.hasSuffix("is not supported") || text.hasPrefix("cannot commit")
                || text.hasPrefix("cannot rollback") || text.hasPrefix("cannot start")
        } || error != nil
    }
}
