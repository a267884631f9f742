import CSQLite
import Glibc
import Gzip
import Raft
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// Copies of the database for clients.
@Suite struct BackupTests {
    /// Takes parts, as a test says.
    private final class Taker: ResultStream {
        var parts: [ResultPart] = []
        var onPart: () -> Void = {}
        var isFull = false

        func begin() -> ResultStreamBeginning { isFull ? .refused : .began(deadline: nil) }

        func send(_ part: ResultPart) -> ResultStreamStep {
            parts.append(part)
            onPart()
            return .sent(waited: .zero)
        }

        var bytes: [UInt8] {
            parts.flatMap(\.pieces).flatMap { piece -> [UInt8] in
                if case .content(let bytes) = piece { bytes } else { [] }
            }
        }

        var index: UInt64? {
            switch parts.first?.pieces.first {
            case .contentBegins(let index): index
            case .copyBegins(let head): head.logIndex
            default: nil
            }
        }

        var error: String? {
            if case .end(let error, _)? = parts.last?.pieces.last { error } else { "no end" }
        }
    }

    private let shell: ShellDumpTests.Shell
    private let database: Database
    private let taker = Taker()

    init() throws {
        shell = try ShellDumpTests.Shell()
        database = try Database()
    }

    /// As -auto-backup asks for it.
    private static func checked(_ vacuum: Bool) -> BackupRequest {
        var request = BackupRequest(form: vacuum ? .binary : .delete, vacuum: vacuum)
        request.isChecked = true
        return request
    }

    private func fill(_ schema: Int) throws {
        _ = try shell.run(ShellDumpTests.schemas[schema], on: "source")
        let text = try shell.run(".dump\n", on: "source")
        for outcome in try database.execute(text) {
            if case .failed(let message) = outcome { Issue.record("\(message)") }
        }
    }

    private func backUp(_ request: BackupRequest = BackupRequest()) throws -> [UInt8] {
        let reader = try database.reader()
        taker.parts = []
        #expect(reader.backUp(request, to: taker) == .streamed)
        #expect(taker.error == nil)
        #expect(taker.index == database.applier.applied.position.index.rawValue)
        return taker.bytes
    }

    private func leftovers() throws -> [String] {
        var names: [String] = []
        guard let directory = opendir("\(database.directory.path)/tmp") else { return [] }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    /// No restore would take it, and another copy may be whole whose place it would take.
    @Test(arguments: [true, false])
    func `A copy for the archive, or for another one's place, is made of no damaged database`(
        isForArchive: Bool
    ) throws {
        try database.execute(
            "CREATE TABLE t(a)",
            "INSERT INTO t VALUES(zeroblob(3000)), (zeroblob(3000)), (zeroblob(3000))")
        var bytes = try database.bytes().bytes
        let last = bytes.count - 4096
        for place in last..<last + 200 { bytes[place] = 0xA5 }
        let other = try Database()
        let path = other.databases.file(of: Generation(2))
        try bytes.write(to: path)
        other.applier = try Applier(path: path)
        try other.applier.establish(
            cluster: ClusterID(RandomID(high: 1, low: 2)), membership: Membership([]))
        let reader = try other.reader()
        var request = BackupRequest(form: isForArchive ? .binary : .delete)
        request.isForArchive = isForArchive
        request.isChecked = !isForArchive
        _ = reader.backUp(request, to: taker)
        #expect(taker.error?.contains("damaged") == true, "\(taker.error ?? "none")")
        // Who asks for it may have it as it is.
        taker.parts = []
        #expect(reader.backUp(BackupRequest(), to: taker) == .streamed)
        #expect(taker.error == nil)
    }

    @Test(
        arguments: ShellDumpTests.schemas.indices,
        [
            BackupRequest(), BackupRequest(vacuum: true), BackupRequest(form: .delete),
            BackupTests.checked(false),
            BackupTests.checked(true),
        ])
    func `A copy is a whole database of its own, with no trace of the daemon's table`(
        schema: Int, request: BackupRequest
    ) throws {
        try fill(schema)
        let bytes = try backUp(request)
        let isWAL = request.form == .binary && !request.vacuum
        #expect(bytes.count > 100)
        #expect(Array(bytes[18..<20]) == (isWAL ? [2, 2] : [1, 1]))
        #expect(!String(decoding: bytes, as: UTF8.self).contains("rqlite"))
        try bytes.write(to: shell.path("backup"))
        #expect(try shell.run("PRAGMA integrity_check;", on: "backup") == "ok\n")
        let direct = try shell.run(".dump\n", on: "backup")
        try database.bytes().bytes.write(to: shell.path("live"))
        // VACUUM puts virtual tables at another place.
        let lines = { (text: String) in text.split(separator: "\n").sorted() }
        #expect(lines(try shell.run(".dump\n", on: "live")) == lines(direct))
        #expect(try leftovers().isEmpty)
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
    }

    @Test(arguments: ShellDumpTests.schemas.indices)
    func `A dump makes the same database anew, in SQLite's shell and here`(schema: Int) throws {
        try fill(schema)
        let text = String(decoding: try backUp(BackupRequest(form: .sql)), as: UTF8.self)
        let copy = try backUp()
        try copy.write(to: shell.path("backup"))
        // The order of virtual tables among the others is that of the dump.
        _ = try shell.run(text, on: "loaded")
        let sorted = { (text: String) in text.split(separator: "\n").sorted() }
        let right = sorted(try shell.run(".dump\n", on: "backup"))
        #expect(sorted(try shell.run(".dump\n", on: "loaded")) == right, "\(text)")
        let other = try Database()
        for outcome in try other.execute(text) {
            if case .failed(let message) = outcome { Issue.record("\(message)\n\(text)") }
        }
        let again = Taker()
        #expect(try other.reader().backUp(BackupRequest(), to: again) == .streamed)
        try again.bytes.write(to: shell.path("again"))
        #expect(sorted(try shell.run(".dump\n", on: "again")) == right)
    }

    @Test func `A dump of some tables has their rows alone, and every other object`() throws {
        try database.execute(
            "CREATE TABLE b(x); CREATE TABLE a(x); CREATE TABLE \"a,c\"(x); INSERT INTO a VALUES(1);"
                + "INSERT INTO b VALUES(2); CREATE INDEX i ON a(x)")
        let bytes = try backUp(BackupRequest(form: .sql, tables: ["a", "none such"]))
        #expect(
            String(decoding: bytes, as: UTF8.self) == """
                PRAGMA foreign_keys=OFF;
                BEGIN TRANSACTION;
                CREATE TABLE a(x);
                INSERT INTO "a" VALUES(1);
                CREATE INDEX i ON a(x);
                COMMIT;

                """)
    }

    @Test(arguments: [nil, ["b", "sqlite_sequence"]] as [[String]?])
    func `A dump loads where no table of it is numbered any more`(tables: [String]?) throws {
        try database.execute(
            "CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO a VALUES(7)",
            "CREATE TABLE b(x DEFAULT 'AUTOINCREMENT'); INSERT INTO b VALUES(1)")
        if tables == nil { try database.execute("DROP TABLE a") }
        let dump = try database.reader().sqlDump(tables: tables)
        #expect(dump.error == nil)
        let other = try Database()
        #expect(try other.execute(String(decoding: dump.bytes, as: UTF8.self)) == [.empty])
        #expect(try other.rows("SELECT x FROM b") == ["1"])
        #expect(try other.rows("SELECT name FROM sqlite_schema") == ["b"])
    }

    /// Beside statistics each statement that makes an object costs a reading of the schema, and so does each that writes some.
    @Test func `A dump with statistics loads for few steps`() throws {
        for place in 0..<200 {
            try database.execute(
                "CREATE TABLE t\(place)(a)", "CREATE INDEX i\(place) ON t\(place)(a)",
                "INSERT INTO t\(place) VALUES(1)")
        }
        try database.execute("ANALYZE")
        let dump = try database.reader().sqlDump()
        #expect(dump.error == nil)
        let text = String(decoding: dump.bytes, as: UTF8.self)
        #expect(text.split(separator: "\n").contains("ANALYZE \"sqlite_master\";"))
        var limits = WriteLimits.initial
        // Most of it is what the indexes take, beside statistics or not.
        limits.steps = 30_000_000
        let other = try Database(writes: limits)
        #expect(try other.execute(text) == [.empty])
        for sql in [
            "SELECT count(*) FROM sqlite_stat1",
            "SELECT group_concat(tbl || idx || stat) FROM (SELECT * FROM sqlite_stat1 ORDER BY 1)",
        ] {
            #expect(try other.rows(sql) == (try database.rows(sql)), "\(sql)")
        }
        #expect(try other.rows("SELECT count(*) FROM sqlite_stat1") == ["200"])
    }

    @Test func `Texts that are no UTF-8 come back from a dump as they were`() throws {
        let texts = ["FF41", "27FF27", "636166E9", "FF0027", "C3A9", "EDA080", "27", ""]
        try database.execute(
            "CREATE TABLE t(a)",
            "INSERT INTO t VALUES" + texts.map { "(CAST(x'\($0)' AS TEXT))" }.joined(separator: ",")
        )
        let dump = try database.reader().sqlDump()
        #expect(dump.error == nil)
        let text = try #require(String(validating: dump.bytes, as: UTF8.self))
        let other = try Database()
        #expect(try other.execute(text) == [.empty])
        #expect(
            try other.rows("SELECT typeof(a) || ' ' || hex(a) FROM t ORDER BY rowid")
                == texts.map { "text \($0)" })
    }

    @Test(arguments: [
        ("CREATE TABLE t(\"caf", "\", b)"), ("CREATE VIEW v AS SELECT 'caf", "' AS a"),
    ])
    func `A schema that is not UTF-8 ends a dump, and its names never stand for values`(
        before: String, after: String
    ) throws {
        try database.execute("CREATE TABLE s(a, b)")
        let other = try database.copied { (connection) throws(SQLiteError) in
            let sql = Array(before.utf8) + [0xE9] + Array(after.utf8)
            try connection.prepare(utf8: sql).run()
        }
        try other.execute("INSERT INTO s VALUES('x', 1)", "INSERT INTO t VALUES('x', 1)")
        let dump = try other.reader().sqlDump()
        #expect(dump.error?.contains("not UTF-8") == true)
        #expect(!String(decoding: dump.bytes, as: UTF8.self).contains("VALUES('caf"))
    }

    @Test func `A packed copy unpacks to the plain one`() throws {
        try fill(0)
        let plain = try backUp()
        let packed = try backUp(BackupRequest(compress: true))
        #expect(GzipReader.recognises(packed))
        var unpacked: [UInt8] = []
        var reader = GzipReader(limit: 1 << 30)
        try reader.add(packed) { unpacked += $0 }
        try reader.end()
        #expect(unpacked.count == plain.count)
        // Apart from the counters of changes in the first page.
        #expect(unpacked.dropFirst(4096) == plain.dropFirst(4096))
    }

    @Test func `A copy shows one moment, whatever is written while it goes out`() throws {
        try database.execute("CREATE TABLE t(a, b)")
        try database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) "
                + "INSERT INTO t SELECT i, zeroblob(200) FROM n")
        let reader = try database.reader()
        let index = database.applier.applied.position.index.rawValue
        taker.onPart = { [database] in
            do {
                try database.execute("UPDATE t SET a = -a", "INSERT INTO t VALUES(0, 1)")
                #expect(try database.applier.checkpoint().extent == .complete)
            } catch {
                Issue.record("\(error)")
            }
        }
        #expect(reader.backUp(BackupRequest(form: .sql), to: taker) == .streamed)
        #expect(taker.index == index)
        #expect(taker.parts.count > 5)
        try taker.bytes.write(to: shell.path("text"))
        _ = try shell.run(".read \(shell.path("text"))\n", on: "loaded")
        #expect(
            try shell.run("SELECT count(*), sum(a), min(a) FROM t;", on: "loaded")
                == "5000|12502500|1\n")
    }

    @Test func `A copy that nobody wants any more ends, and leaves nothing`() throws {
        try fill(6)
        let reader = try database.reader()
        taker.onPart = { reader.activity.cancel() }
        #expect(reader.backUp(BackupRequest(form: .sql), to: taker) != .busy)
        #expect(try leftovers().isEmpty)
        reader.activity.reset()
        reader.activity.cancel()
        taker.parts = []
        #expect(reader.backUp(BackupRequest(), to: taker) == .abandoned)
        #expect(taker.parts.isEmpty)
        #expect(try leftovers().isEmpty)
        reader.activity.reset()
        taker.onPart = {}
        taker.isFull = true
        #expect(reader.backUp(BackupRequest(), to: taker) == .busy)
        taker.isFull = false
        #expect(reader.backUp(BackupRequest(), to: taker) == .streamed)
        #expect(reader.backUp(BackupRequest(), to: nil) != .streamed)
    }

    @Test func `A copy for which the disk has no room is given up before it fills it`() throws {
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(3000000))")
        let reader = try database.reader()
        var copy: DatabaseCopy? = try DatabaseCopy(
            in: "\(database.directory.path)/tmp", reader.watchdog)
        copy?.spareBytes = 1 << 62
        let failure = #expect(throws: SQLiteError.self) {
            try copy?.fill(from: reader.connection) { true }
        }
        #expect(failure?.message.contains("no room for a copy") == true)
        // With a name by chance each try would have a cause of its own.
        #expect(failure?.message.contains("etilqs") == false)
        copy = nil
        #expect(try leftovers().isEmpty)
    }

    private func size(_ path: String) -> Int {
        var facts = stat()
        return stat(path, &facts) == 0 ? Int(facts.st_size) : 0
    }

    @Test func `VACUUM of a copy takes room for one more, and is not begun without it`() throws {
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(3000000))")
        let reader = try database.reader()
        for hasRoom in [false, true] {
            let copy = try DatabaseCopy(
                in: "\(database.directory.path)/tmp", reader.watchdog)
            try copy.fill(from: reader.connection) { true }
            copy.spareBytes = hasRoom ? 0 : 1 << 62
            var answer = BackupAnswer(taker, reader.watchdog, compresses: false)
            do throws(BackupFault) {
                try copy.send(BackupRequest(vacuum: true), &answer, keepingIn: reader.kept)
                #expect(hasRoom)
            } catch {
                #expect(!hasRoom)
                #expect(error.text.contains("no room for a copy"), "\(error.text)")
            }
            #expect(taker.bytes.isEmpty == !hasRoom)
            #expect(size(copy.path) > 3_000_000)
            // What VACUUM overwrites does not go into a journal first.
            #expect(size(copy.path + "-journal") < 1_000_000)
        }
        #expect(try leftovers().isEmpty)
    }

    @Test func `Who waits for a copy hears that it comes before it is vacuumed`() throws {
        try fill(6)
        for compress in [false, true] {
            _ = try backUp(BackupRequest(vacuum: true, compress: compress))
            guard case .content(let first)? = taker.parts.first?.pieces.last else {
                Issue.record("\(String(describing: taker.parts.first))")
                return
            }
            #expect(first.isEmpty)
        }
    }

    @Test func `A value of the largest size goes into a dump`() throws {
        try database.execute("CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(20000000))")
        let bytes = try backUp(BackupRequest(form: .sql))
        #expect(bytes.count > 40_000_000)
        #expect(taker.parts.allSatisfy { $0.byteCount < 2 * ResultWindow.partBytes })
    }
}
