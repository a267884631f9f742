import Raft
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// Some lists of a statement SQLite goes through again for each of their members while it compiles it, and
/// reports nothing meanwhile: by themselves these statements take minutes to days.
@Suite(.serialized) struct ListCostTests {
    /// An expression of no great depth.
    fileprivate static func sum(_ terms: [String]) -> String {
        var rest = terms
        while rest.count > 1 {
            rest = stride(from: 0, to: rest.count, by: 2).map {
                $0 + 1 < rest.count ? "(\(rest[$0])+\(rest[$0 + 1]))" : rest[$0]
            }
        }
        return rest[0]
    }

    fileprivate static func deep(_ range: Range<Int>) -> String {
        let sum = Array(repeating: "a", count: 900).joined(separator: "+")
        return range.map { "\(sum)+\($0)" }.joined(separator: ",")
    }

    fileprivate static func windows(_ count: Int) -> String {
        sum((0..<count).map { "sum(a) OVER (ORDER BY b+\($0))" })
    }

    private func database() throws -> Database {
        let database = try Database()
        try database.execute("CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 2)")
        return database
    }

    private static let compiling = "compiling the statement takes more steps than the request may"

    /// Named, for the texts are long.
    enum List: CaseIterable {
        case windowsOfRead, windowsOfWrite, orderTerms, groupTerms, aggregates

        var sql: String {
            switch self {
            case .windowsOfRead: "SELECT \(ListCostTests.windows(3000)) FROM t"
            case .windowsOfWrite: "INSERT INTO t(a) SELECT \(ListCostTests.windows(3000)) FROM t"
            case .orderTerms:
                "SELECT \(ListCostTests.deep(0..<600)) FROM t ORDER BY \(ListCostTests.deep(1000..<1600))"
            case .groupTerms:
                "SELECT count(*) FROM t GROUP BY \(ListCostTests.deep(0..<1200)) UNION SELECT 1"
            case .aggregates:
                "SELECT \(ListCostTests.sum((0..<300_000).map { "sum(a+\($0))" })) FROM t"
            }
        }
    }

    /// What SQLite passes over, or compiles before.
    private static let fronts = [" ;/**/;", "SELECT 1;;"]

    @Test(arguments: List.allCases.map { ($0, "") } + fronts.map { (.windowsOfRead, $0) })
    func `Lists that SQLite goes through for each member are an error before they are compiled`(
        list: List, front: String
    ) throws {
        let sql = front + list.sql
        let database = try database()
        let start = ThreadTime.now
        let outcome = try database.request(sql).first
        guard case .failed(let text)? = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        #expect(text.hasPrefix(Self.compiling), "\(text)")
        if list != .windowsOfWrite {
            let read = try database.reader().rows(sql)
            #expect(read.first?.hasPrefix("failed: \(Self.compiling)") == true, "\(read)")
        }
        #expect(ThreadTime.now - start < .seconds(60))
        #expect(
            try database.execute("INSERT INTO t(rowid) VALUES(7)")
                == [.changed(lastInsertID: 7, rowsAffected: 1)])
    }

    @Test func `What a text would cost is a number, however often it is sent`() throws {
        let text = "SELECT " + String(repeating: "OVER ", count: 1 << 20)
        let size = Array(text.utf8).withUnsafeBytes { StatementSize($0) }
        #expect(size.steps == CompilationCost.most)
        // As many as have room in a request, and again, for as long as a process may live.
        let budget = StepBudget(steps: 1_000_000_000)
        for isFirstLook in [true, false] {
            for _ in 0..<100 {
                budget.allow(steps: 1_000_000_000, isFirstLook: isFirstLook)
                for _ in 0..<500 {
                    budget.charge(allocations: 0, textBytes: 0, listSteps: size.steps)
                }
                #expect(budget.isSpent)
                #expect(budget.stepsLeft <= 0)
                #expect(budget.isInDoubt)
                budget.used = 0
            }
        }
        let database = try database()
        for outcome in try database.execute(text, text) {
            guard case .failed = outcome else {
                Issue.record("\(outcome)")
                continue
            }
        }
        #expect(
            try database.execute("INSERT INTO t(rowid) VALUES(7)")
                == [.changed(lastInsertID: 7, rowsAffected: 1)])
    }

    enum Constants: CaseIterable {
        case operands, branches, arguments

        var sql: String {
            switch self {
            case .operands:
                "UPDATE t SET a = \(ListCostTests.sum((0..<200_000).map { "(a+\($0))" }))"
            case .branches:
                "UPDATE t SET a = CASE b "
                    + (0..<100_000).map { "WHEN \($0) THEN \($0)" }.joined(separator: " ") + " END"
            case .arguments:
                "UPDATE t SET a = \(ListCostTests.sum((0..<100_000).map { "coalesce(a,\($0))" }))"
            }
        }
    }

    @Test(arguments: Constants.allCases.map { ($0, "") } + fronts.map { (.operands, $0) })
    func `Constants in great number take time that grows with their number`(
        constants: Constants, front: String
    ) throws {
        let database = try database()
        let start = ThreadTime.now
        #expect(
            try database.execute(front + constants.sql)
                == [.changed(lastInsertID: 0, rowsAffected: 1)])
        #expect(ThreadTime.now - start < .seconds(60))
    }

    /// SQLite compiles a statement again when it runs, if its plan depends on what is bound.
    @Test(arguments: ["LIKE", "GLOB"])
    func `Constants in great number are no matter beside a pattern that is bound`(
        match: String
    ) throws {
        let database = try database()
        let sum = Self.sum((0..<200_000).map { "(a+\($0))" })
        let start = ThreadTime.now
        let written = try database.apply(
            Command(
                kind: .execute,
                statements: [
                    Statement(
                        "UPDATE t SET a = \(sum) WHERE b \(match) ?1", positional: [.text("2")])
                ], stamp: stamp(database.applier.applied.position.index.next)))
        #expect(
            written.statements.map(\.outcome) == [.changed(lastInsertID: 0, rowsAffected: 1)])
        let read = try database.reader().run(
            Command(
                kind: .query,
                statements: [
                    Statement(
                        "SELECT \(sum) > 0 AS x FROM t WHERE b \(match) ?1",
                        positional: [.text("2")])
                ]))
        guard case .result(let result) = read,
            case .rows(let rows)? = result.statements.first?.outcome
        else {
            Issue.record("\(read)")
            return
        }
        #expect(try rows.lines() == ["1"])
        #expect(ThreadTime.now - start < .seconds(60))
    }

    @Test func `A usual number of window functions is no matter`() throws {
        #expect(
            try database().execute("UPDATE t SET a = (SELECT \(Self.windows(200)) FROM t)")
                == [.changed(lastInsertID: 0, rowsAffected: 1)])
    }

    @Test func `Parameters in great number take time that grows with their number`() throws {
        let database = try database()
        let start = ThreadTime.now
        let sql = "UPDATE t SET a = \(Self.sum((0..<32_000).map { _ in "(a+?)" }))"
        let result = try database.apply(
            Command(
                kind: .execute,
                statements: [
                    Statement(sql, positional: (0..<32_000).map { .integer($0) })
                ], stamp: stamp(database.applier.applied.position.index.next)))
        #expect(
            result.statements.map(\.outcome) == [.changed(lastInsertID: 0, rowsAffected: 1)])
        #expect(ThreadTime.now - start < .seconds(8))
    }

    enum Stored: CaseIterable {
        case view, trigger, order

        var sql: String {
            switch self {
            case .view: "CREATE VIEW v AS SELECT \(ListCostTests.windows(300)) AS x FROM t"
            case .trigger:
                "CREATE TRIGGER v AFTER INSERT ON t BEGIN SELECT 1; "
                    + "INSERT INTO t(a) SELECT \(ListCostTests.windows(300)) FROM t; END"
            case .order:
                "CREATE VIEW v AS SELECT \(ListCostTests.deep(0..<100)) FROM t ORDER BY \(ListCostTests.deep(0..<100))"
            }
        }
    }

    @Test(arguments: Stored.allCases)
    func `Lists that whoever uses a view or trigger would go through are no part of the schema`(
        stored: Stored
    ) throws {
        let outcome = try database().execute(stored.sql).first
        guard case .failed(let text)? = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        #expect(text.hasPrefix("the view or trigger takes too long to be compiled"), "\(text)")
    }

    @Test func `A table has no more UNIQUE constraints than SQLite reads in no time`() throws {
        let database = try database()
        let columns = (0..<400).map { "c\($0)" }.joined(separator: ", ")
        func table(_ uniques: Int) -> String {
            let all = (0..<uniques).map { ", UNIQUE(c\($0 / 399), c\($0 % 399 + 1))" }.joined()
            return "CREATE TABLE w(\(columns)\(all))"
        }
        let refusal = StatementOutcome.failed(
            "too many UNIQUE constraints: at most 1000 in a table")
        let start = ThreadTime.now
        for front in ["", ";", "EXPLAIN "] {
            #expect(try database.execute(front + table(100_000)) == [refusal])
        }
        #expect(try database.execute(table(1001)) == [refusal])
        #expect(try database.execute(table(1000)) == [.empty])
        database.applier = try Applier(path: database.applier.path)
        #expect(
            try database.execute("INSERT INTO w(c7) VALUES(1)")
                == [.changed(lastInsertID: 1, rowsAffected: 1)])
        #expect(ThreadTime.now - start < .seconds(60))
    }

    /// Constants of views come together in the statement that uses them.
    @Test func `Constants of many views take time that grows with their number`() throws {
        let database = try database()
        let views = (0..<40).map { view in
            let terms = (0..<3000).map { "(a+\(view * 3000 + $0))" }
            return "CREATE VIEW v\(view) AS SELECT \(Self.sum(terms)) AS x FROM t;"
        }
        let start = ThreadTime.now
        let before = try database.reader()
        #expect(try before.rows("SELECT a FROM t") == ["1"])
        for case .failed(let text) in try database.execute(views.joined()) {
            Issue.record("\(text)")
        }
        let uses = (0..<40).map { "(SELECT x FROM v\($0))" }.joined(separator: "+")
        for reader in try [before, database.reader()] {
            #expect(try reader.rows("SELECT \(uses) > 0 FROM t") == ["1"])
        }
        for restarts in [false, true] {
            if restarts { database.applier = try Applier(path: database.applier.path) }
            #expect(
                try database.execute("UPDATE t SET a = \(uses)")
                    == [.changed(lastInsertID: 0, rowsAffected: 1)])
        }
        #expect(ThreadTime.now - start < .seconds(60))
    }
}
