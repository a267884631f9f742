import Chance
import Raft
import Testing
import Wire

@testable import StateMachine

/// The rule above all: how entries fall into batches, and where a crash comes between, must not
/// show in rows or answers.
@Suite struct PartitionTests {
    private static let schema = """
        CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, r DEFAULT (random()),
          at DEFAULT CURRENT_TIMESTAMP);
        CREATE TABLE parent(id INTEGER PRIMARY KEY);
        CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent(id)
          DEFERRABLE INITIALLY DEFERRED, q REFERENCES parent(id));
        CREATE TABLE log(n INTEGER PRIMARY KEY AUTOINCREMENT, what, c, tc, li, ms);
        CREATE TABLE keyed(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
        CREATE VIEW v AS SELECT a, b, random() AS x, datetime() AS d FROM t;
        CREATE VIRTUAL TABLE words USING fts5(w);
        CREATE TRIGGER tl AFTER INSERT ON t BEGIN
          INSERT INTO log(what, c, tc, li, ms)
            VALUES(new.b, changes(), total_changes(), last_insert_rowid(), strftime('%s'));
          SELECT RAISE(ROLLBACK, 'no sevens') WHERE new.b % 17 = 7;
          SELECT RAISE(FAIL, 'no eights') WHERE new.b % 17 = 8;
        END;
        """

    private static func statement(_ random: inout SplitMix64, _ depth: Int = 0) -> String {
        let n = Int(random.next() % 60)
        switch random.next() % 26 {
        case 0, 1, 2: return "INSERT INTO t(b) VALUES(\(n))"
        case 3: return "INSERT OR ROLLBACK INTO t(b) VALUES(\(n))"
        case 4: return "INSERT OR FAIL INTO t(b) VALUES(\(n + 100)),(\(n)),(\(n + 200))"
        case 5: return "INSERT OR REPLACE INTO t(b) VALUES(\(n)) RETURNING a, b, r, at"
        case 6: return "INSERT INTO t(b) SELECT x FROM v WHERE a < 3 ORDER BY random() LIMIT 2"
        case 7: return "UPDATE t SET r = random() WHERE b % 5 = \(n % 5) RETURNING *"
        case 8: return "DELETE FROM t WHERE a IN (SELECT a FROM t ORDER BY random() LIMIT 2)"
        case 9: return "INSERT OR IGNORE INTO parent VALUES(\(n))"
        case 10: return "INSERT INTO child(p) VALUES(\(n))"
        case 11: return "INSERT INTO child(q) VALUES(\(n))"
        case 12: return "DELETE FROM parent WHERE id = \(n)"
        case 13:
            return """
                INSERT INTO log(what, c, tc, li) SELECT 'seen', changes(), total_changes(),
                last_insert_rowid()
                """
        case 14: return "INSERT INTO words VALUES('w\(n) w\(n % 7)')"
        case 15: return "DELETE FROM words WHERE words MATCH 'w\(n % 7)'"
        case 16: return "INSERT INTO words(words, rank) VALUES('merge', \(n % 5 + 1))"
        case 17: return "SELECT a, b, x, d FROM v ORDER BY a LIMIT 5"
        case 18: return "SELEC \(n)"
        case 19: return "INSERT INTO nowhere VALUES(\(n))"
        case 20: return "REPLACE INTO keyed VALUES('k\(n % 9)', randomblob(5))"
        case 21 where depth == 0:
            return "\(statement(&random, 1)); \(statement(&random, 1)); \(statement(&random, 1))"
        case 22 where depth == 0:
            return """
                BEGIN; \(statement(&random, 1)); SAVEPOINT s; \(statement(&random, 1));
                ROLLBACK TO s; \(statement(&random, 1)); COMMIT
                """
        case 23 where depth == 0:
            return """
                PRAGMA foreign_keys=\(n % 2); \(statement(&random, 1)); BEGIN;
                PRAGMA defer_foreign_keys=ON; INSERT INTO child(q) VALUES(\(n));
                INSERT OR IGNORE INTO parent VALUES(\(n)); COMMIT
                """
        case 24 where n % 10 == 0: return n % 20 == 0 ? "VACUUM" : "ANALYZE"
        case 25:
            return """
                WITH RECURSIVE i(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i)
                INSERT INTO log(what) SELECT x FROM i
                """
        default: return "CREATE TABLE IF NOT EXISTS extra\(n % 4)(x DEFAULT (hex(randomblob(3))))"
        }
    }

    /// Calm histories hold nothing that forces a batch to be run unit by unit.
    private static func isCalm(_ sql: String) -> Bool {
        !["OR ROLLBACK", "INTO t(b)", "VACUUM", "ANALYZE", "RECURSIVE"].contains {
            sql.contains($0)
        }
    }

    private static func history(seed: UInt64, count: Int, isCalm: Bool = false) -> [Entry] {
        var random = SplitMix64(seed: seed)
        var entries = [
            entry(LogIndex(1), Command(kind: .execute, statements: [Statement(schema)]))
        ]
        for index in 2...UInt64(count) {
            let position = LogIndex(index)
            if random.next() % 20 == 0 {
                entries.append(Entry(index: position, term: Term(1), payload: .noop))
                continue
            }
            let statements = (0...Int(random.next() % 3)).map { _ in
                var sql = statement(&random)
                while isCalm, !Self.isCalm(sql) { sql = statement(&random) }
                return Statement(sql)
            }
            let command = Command(
                kind: random.next() % 2 == 0 ? .execute : .request, statements: statements,
                transaction: random.next() % 3 == 0, stamp: stamp(position))
            entries.append(entry(position, command))
        }
        return entries
    }

    private struct Outcome: Equatable {
        var rows: [String]
        var answers: [UInt64: CommandResult]
    }

    private static var limits: WriteLimits {
        var limits = WriteLimits.initial
        limits.steps = 200_000
        return limits
    }

    /// Applies the history in batches of the sizes drawn; reopens the database after some.
    private func apply(
        _ entries: [Entry], seed: UInt64, largest: Int, reopening: Bool = false,
        inUnits: Bool = false
    ) throws -> Outcome {
        let database = try Database(foreignKeys: true, writes: Self.limits)
        database.applier.avoidsSharedTransactions = inUnits
        var random = SplitMix64(seed: seed)
        var start = 0
        var results: [AppliedEntry] = []
        while start < entries.count {
            let end = min(entries.count, start + 1 + Int(random.next() % UInt64(largest)))
            try database.applier.apply(
                entries[start..<end], reporting: { _ in true }, into: &results)
            start = end
            if reopening, random.next() % 3 == 0 {
                database.applier = try Applier(path: database.applier.path)
            }
        }
        var answers: [UInt64: CommandResult] = [:]
        for applied in results {
            guard var result = applied.result else { continue }
            for index in result.statements.indices { result.statements[index].nanoseconds = 0 }
            answers[applied.index.rawValue] = result
        }
        return Outcome(rows: try database.dump(), answers: answers)
    }

    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func `Any partition into batches gives the same rows and answers`(seed: UInt64) throws {
        let entries = Self.history(seed: seed, count: 160)
        let single = try apply(entries, seed: seed, largest: 1)
        #expect(single.rows.count > 20)
        #expect(single.answers[1]?.statements.map(\.outcome) == [.empty])
        for (largest, reopening) in [(4, false), (20, false), (160, false), (7, true)] {
            let other = try apply(
                entries, seed: seed &+ UInt64(largest), largest: largest, reopening: reopening)
            expectSame(other, single, "batches of \(largest), reopening \(reopening)")
        }
    }

    @Test(arguments: [21, 22, 23, 24] as [UInt64])
    func `Shared transactions and one per unit give the same`(seed: UInt64) throws {
        let entries = Self.history(seed: seed, count: 200, isCalm: true)
        let units = try apply(entries, seed: seed, largest: 200, inUnits: true)
        #expect(units.rows.count > 20)
        for largest in [1, 8, 200] {
            let shared = try apply(entries, seed: seed, largest: largest)
            expectSame(shared, units, "batches of \(largest)")
        }
    }

    private func expectSame(_ other: Outcome, _ expected: Outcome, _ what: String) {
        let differences = other.rows.difference(from: expected.rows)
        #expect(differences.isEmpty, "\(what): \(differences)")
        for (index, answer) in expected.answers where other.answers[index] != answer {
            Issue.record(
                """
                \(what), entry \(index): \(answer) became \
                \(String(describing: other.answers[index]))
                """)
        }
    }

    /// A table of FTS4 as SQLite's shell dumps it.
    private static let dump = """
        PRAGMA writable_schema=ON; BEGIN TRANSACTION;
        CREATE TABLE 'words_content'(docid INTEGER PRIMARY KEY, 'c0w');
        CREATE TABLE 'words_segments'(blockid INTEGER PRIMARY KEY, block BLOB);
        CREATE TABLE 'words_segdir'(level INTEGER,idx INTEGER,start_block INTEGER,leaves_end_block INTEGER,end_block INTEGER,root BLOB,PRIMARY KEY(level, idx));
        CREATE TABLE 'words_docsize'(docid INTEGER PRIMARY KEY, size BLOB);
        CREATE TABLE 'words_stat'(id INTEGER PRIMARY KEY, value BLOB);
        INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','words','words',0,'CREATE VIRTUAL TABLE words USING fts4(w)');
        COMMIT;
        """

    @Test(arguments: [("fts4", false), ("fts4", true), ("fts5", false)])
    func `The segments of a full-text index don't show the batches`(
        module: String, isOfDump: Bool
    ) throws {
        var entries = [
            isOfDump ? Self.dump : "CREATE VIRTUAL TABLE words USING \(module)(w)",
            module == "fts4" ? "INSERT INTO words(words) VALUES('automerge=2')" : "SELECT 1",
        ]
        for number in 0..<120 {
            let text = (0..<40).map { "w\(number * 40 + $0)" }.joined(separator: " ")
            entries.append("INSERT INTO words VALUES('\(text)')")
        }
        let history = entries.enumerated().map {
            entry(
                LogIndex(UInt64($0) + 1),
                Command(kind: .execute, statements: [Statement($1)]))
        }
        let single = try apply(history, seed: 1, largest: 1)
        #expect(single.rows.count > 120)
        for largest in [9, 200] {
            let other = try apply(history, seed: 2, largest: largest)
            #expect(other.rows == single.rows, "batches of \(largest)")
        }
    }

    @Test func `Unwanted answers change nothing`() throws {
        let entries = Self.history(seed: 99, count: 120)
        let heard = try Database(foreignKeys: true, writes: Self.limits)
        let unheard = try Database(foreignKeys: true, writes: Self.limits)
        var results: [AppliedEntry] = []
        try heard.applier.apply(entries, reporting: { _ in true }, into: &results)
        results = []
        try unheard.applier.apply(entries, reporting: { _ in false }, into: &results)
        #expect(results.allSatisfy { $0.result == nil })
        #expect(try heard.dump() == unheard.dump())
    }

    @Test func `A refused COMMIT is still refused after a full disk`() throws {
        let schema = """
            CREATE TABLE p(id INTEGER PRIMARY KEY);
            CREATE TABLE c(p REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)
            """
        var faults = 0
        for write in 0..<4 {
            let database = try Database(foreignKeys: true)
            try database.execute(schema)
            database.applier.avoidsSharedTransactions = true
            let command = Command(
                kind: .execute, statements: [Statement("INSERT INTO c VALUES(1)")],
                transaction: true)
            var results: [AppliedEntry] = []
            WriteFault.full(after: Int64(write))
            do throws(ApplyFault) {
                try database.applier.apply(
                    [entry(LogIndex(2), command)], reporting: { _ in true }, into: &results)
            } catch {
                #expect(error == .diskFull)
                faults += 1
            }
            WriteFault.end()
            try database.applier.apply(
                [entry(LogIndex(2), command)], reporting: { _ in true }, into: &results)
            #expect(results.map(\.result?.error) == ["FOREIGN KEY constraint failed"])
        }
        #expect(faults > 0)
    }

    @Test func `A crash anywhere within an entry that runs unit by unit changes nothing`() throws {
        let statements = [
            Self.schema + "CREATE TABLE big(x)",
            "INSERT INTO t(b) VALUES(1)", "INSERT INTO t(b) VALUES(2),(3)",
            "INSERT OR ROLLBACK INTO t(b) VALUES(2)",
            "INSERT INTO log(what, c, tc, li) SELECT 'x', changes(), total_changes(), last_insert_rowid()",
            "INSERT INTO t(b) VALUES(random()); INSERT INTO t(b) VALUES(7); INSERT INTO t(b) VALUES(9)",
            "PRAGMA foreign_keys=OFF; INSERT INTO child(q) VALUES(5); VACUUM; INSERT INTO child(q) VALUES(6)",
            "ANALYZE", "INSERT INTO t(b) VALUES(11)",
            "INSERT INTO log(what, c, tc, li) SELECT 'y', changes(), total_changes(), last_insert_rowid()",
        ]
        let entries = [
            entry(
                LogIndex(1),
                Command(
                    kind: .execute, statements: statements.map { Statement($0) },
                    stamp: stamp(LogIndex(1))))
        ]
        let whole = try Database(foreignKeys: true)
        var results: [AppliedEntry] = []
        try whole.applier.apply(entries, reporting: { _ in true }, into: &results)
        let expected = try whole.dump()
        let answer = results.first?.result?.statements.map(\.outcome)

        var interruptions = 0
        for write in 0..<200 {
            let database = try Database(foreignKeys: true)
            results = []
            WriteFault.full(after: Int64(write))
            var fault: ApplyFault?
            do throws(ApplyFault) {
                try database.applier.apply(entries, reporting: { _ in true }, into: &results)
            } catch {
                fault = error
            }
            WriteFault.end()
            guard fault != nil else { break }
            #expect(fault == .diskFull)
            interruptions += 1
            if write % 2 == 0 {
                // Same process, disk has room again: also the answer is whole.
                try database.applier.apply(entries, reporting: { _ in true }, into: &results)
                #expect(results.first?.result?.statements.map(\.outcome) == answer, "\(write)")
            } else {
                database.applier = try Applier(path: database.applier.path)
                try database.applier.apply(entries, reporting: { _ in true }, into: &results)
            }
            #expect(try database.dump() == expected, "after \(write) writes")
        }
        #expect(interruptions > 20)
    }
}
