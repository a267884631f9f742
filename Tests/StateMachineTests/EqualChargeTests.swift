import CSQLite
import Raft
import SQLite
import Testing
import Wire

@testable import StateMachine

/// Nodes have different pasts, and charge the same: where a request's steps end its rows do.
@Suite struct EqualChargeTests {
    /// What the statements of one request are charged together.
    private func charge(_ texts: [String], on database: Database) throws -> Int {
        let before = database.applier.session.budget.charged
        let result = try database.apply(
            Command(
                kind: .execute, statements: texts.map { Statement($0) },
                stamp: stamp(database.applier.applied.position.index.next)))
        for statement in result.statements {
            if case .failed(let text) = statement.outcome { Issue.record("\(text.prefix(200))") }
        }
        return database.applier.session.budget.charged - before
    }

    /// SQLite notes things of a table when it is used first; what is compiled is large, and its text short.
    @Test(arguments: [" SELECT '%';", " -- %"])
    func `What compiling a statement costs is the same before a long text and at its first time`(
        rest: String
    ) throws {
        let database = try Database()
        let tables = (0..<200).map { "CREATE TABLE u\($0)(a TEXT, b INTEGER);" }.joined()
        let inserts = (0..<200).map { "INSERT INTO u\($0) VALUES(new.a, 1);" }.joined()
        try database.execute(
            tables, "CREATE TABLE t(a)",
            "CREATE TRIGGER r AFTER INSERT ON t BEGIN \(inserts) END")
        database.applier = try Applier(path: database.applier.path)
        let long = String(repeating: "x", count: 20_000)
        let text =
            "INSERT INTO t VALUES('y');"
            + rest.split(separator: "%", omittingEmptySubsequences: false).joined(separator: long)
        let charges = try (0..<3).map { _ in try charge([text], on: database) }
        // More than its text and what every statement costs.
        #expect(charges[0] > 2000, "\(charges)")
        #expect(Set(charges).count == 1, "\(charges)")
    }

    /// A view that comes in the list behind one that reads it is worked out with that one. SQLite's order in memory is not
    /// that of the file where objects were added one by one.
    @Test(arguments: ["PRAGMA table_list", "SELECT count(*) FROM pragma_table_list"])
    func `A list of tables costs the same in whatever order the views are in memory`(
        sql: String
    ) throws {
        let charges = try [false, true].map { restarting in
            let database = try Database()
            try database.execute("CREATE TABLE t(a)", "CREATE VIEW v0 AS SELECT a FROM t")
            for place in 1...40 {
                let outcomes = try database.execute(
                    "CREATE VIEW v\(place) AS SELECT a FROM v\(place - 1)")
                #expect(outcomes == [.empty])
            }
            if restarting { database.applier = try Applier(path: database.applier.path) }
            return try charge([sql], on: database)
        }
        #expect(charges[0] == charges[1], "\(charges)")
    }

    /// What a thread counts of words outlives the statement, and the connection.
    @Test func `Words that are only read cost the same whatever was written before them`() throws {
        let lengths = (1...200).map { "\($0)" }.joined(separator: ",")
        let databases = try ["fts4(a, prefix='\(lengths)')", "fts3(a)"].map { table in
            let database = try Database()
            let outcomes = try database.execute(
                "CREATE TABLE t(a)", "CREATE VIRTUAL TABLE f USING \(table)",
                "INSERT INTO f VALUES('\(String(repeating: "a", count: 400)) one')")
            for case .failed(let text) in outcomes { Issue.record("\(text)") }
            return database
        }
        let charges = try [0, 0, 1].map { writer in
            try databases[writer].execute("INSERT INTO f VALUES('x')")
            return try charge(
                ["INSERT INTO t SELECT length(offsets(f)) FROM f WHERE f MATCH 'one'"],
                on: databases[0])
        }
        #expect(charges[1] == charges[2], "\(charges)")
    }

    /// SQLite has small blocks at hand for each connection, which are no allocations, and of which some are taken.
    @Test func `What views cost is the same however many small blocks a connection has at hand`()
        throws
    {
        let database = try Database()
        try database.execute("CREATE TABLE t(a)")
        for place in 0..<40 {
            try database.execute("CREATE VIEW v\(place) AS SELECT a + \(place) AS b FROM t")
        }
        let list = "PRAGMA table_list"
        let first = try charge([list], on: database)
        // Forgets what was measured.
        try database.execute("CREATE TABLE u(a)", "DROP TABLE u")
        let pointer = database.applier.session.connection.pointer
        // Compiled for one run, they hold all of them.
        var holders: [OpaquePointer?] = []
        for _ in 0..<200 {
            var holder: OpaquePointer?
            let sql = "SELECT 1, 'some text', name FROM sqlite_schema"
            let code = sqlite3_prepare_v2(pointer, sql, -1, &holder, nil)
            #expect(code == SQLITE_OK)
            holders.append(holder)
        }
        defer { for holder in holders { sqlite3_finalize(holder) } }
        let second = try charge([list], on: database)
        #expect(first == second)
    }
}
