import CSQLite
import Glibc
import Gzip
import Raft
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// Databases that clients load in place of the one that is there.
@Suite struct LoadTests {
    let shell: ShellDumpTests.Shell
    let database: Database
    private let reader: LoadReader

    init() throws {
        shell = try ShellDumpTests.Shell()
        database = try Database()
        reader = LoadReader(
            directory: database.directory.path, packedBytes: 60 << 20,
            newID: { LoadID(high: 1, low: 2) })
        try database.execute(
            "CREATE TABLE old(a PRIMARY KEY); INSERT INTO old VALUES(1), (2)",
            "CREATE VIRTUAL TABLE oldwords USING fts5(w); INSERT INTO oldwords VALUES('one')")
    }

    private func bytes(_ name: String) throws -> [UInt8] {
        let descriptor = open(shell.path(name), O_RDONLY)
        guard descriptor >= 0 else { throw HarnessError.system(errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
        }
    }

    private func read(_ bytes: [UInt8]) -> LoadContent {
        read(bytes, reader)
    }

    /// In parts of many sizes, as a network brings them.
    private func read(_ bytes: [UInt8], _ reader: LoadReader) -> LoadContent {
        let upload = reader.begin()
        var rest = bytes[...]
        var size = 1
        while !rest.isEmpty {
            _ = upload.add(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            size = size * 3 % 65_521
        }
        return upload.finish()
    }

    private func image(_ script: String) throws -> DatabaseImage {
        unlink(shell.path("source"))
        _ = try shell.run(script, on: "source")
        guard case .image(let image) = read(try bytes("source")) else {
            Issue.record("\(read(try bytes("source")))")
            throw HarnessError.noResult
        }
        return image
    }

    private func entry(_ image: DatabaseImage, at index: LogIndex) -> Entry {
        Entry(index: index, term: Term(1), payload: .command(LogCommand.load(image).encoded()))
    }

    @discardableResult
    private func load(_ image: DatabaseImage, into database: Database) throws -> CommandResult {
        var results: [AppliedEntry] = []
        try database.applier.apply(
            [entry(image, at: database.applier.applied.position.index.next)],
            reporting: { _ in true }, into: &results)
        return try #require(results.first?.result)
    }

    @Test func `A database that is loaded remembers no keys of the one before`() throws {
        var write = Command(kind: .execute, statements: [Statement("CREATE TABLE once(a)")])
        write.key = RepeatKey("k", of: "", for: write)
        #expect(try database.apply(write).statements.count == 1)
        #expect(database.applier.repeats.count == 1)
        try load(try image("CREATE TABLE t(a);"), into: database)
        #expect(database.applier.repeats.count == 0)
        // It was made in what is gone: now it takes effect in what is there, once.
        for _ in 0..<2 { try database.apply(write) }
        #expect(database.applier.repeats.count == 1)
        #expect(try database.rows("SELECT name FROM sqlite_schema ORDER BY 1") == ["once", "t"])
        let again = try Applier(path: database.applier.path)
        #expect(again.repeats.count == 1)
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

    private func lines(_ text: String) -> [Substring] { text.split(separator: "\n").sorted() }

    private func dump(_ database: Database) throws -> [Substring] {
        unlink(shell.path("dumped"))
        try database.bytes().bytes.write(to: shell.path("dumped"))
        return lines(try shell.run(".dump\n", on: "dumped"))
    }

    @Test(arguments: ShellDumpTests.schemas.indices, [false, true])
    func `A file takes the place of the database, and everything goes on`(
        schema: Int, isWAL: Bool
    ) throws {
        let script = (isWAL ? "PRAGMA journal_mode=WAL;\n" : "") + ShellDumpTests.schemas[schema]
        if schema == ShellDumpTests.schemas.count - 1 { return }
        let image = try image(script)
        let right = lines(try shell.run(".dump\n", on: "source"))
        let before = try database.reader()
        #expect(try before.rows("SELECT count(*) FROM old") == ["2"])
        let position = database.applier.applied.position.index
        let result = try load(image, into: database)
        #expect(result.error == nil)
        #expect(result.logIndex == position.next.rawValue)
        #expect(database.applier.applied.position.index == position.next)
        #expect(try dump(database) == right)
        #expect(try before.rows("PRAGMA integrity_check") == ["ok"])
        #expect(try before.rows("SELECT count(*) FROM old") == ["failed: no such table: old"])
        #expect(try leftovers().isEmpty)
        // Written to, opened again, sent to another node.
        try database.execute("CREATE TABLE fresh(a); INSERT INTO fresh VALUES(random())")
        let rows = try database.rows("SELECT a FROM fresh")
        let dump = try dump(database)
        database.applier = try Applier(path: database.applier.path)
        #expect(database.applier.applied.position.index.rawValue == position.rawValue + 3)
        #expect(try database.rows("SELECT a FROM fresh") == rows)
        #expect(try self.dump(try database.copied()) == dump)
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
    }

    @Test func `What is the daemon's stays: cluster, membership, settings`() throws {
        let limits = WriteLimits(steps: 50_000, growth: 1 << 30, database: 1 << 30, temporary: .max)
        let other = try Database(foreignKeys: true, writes: limits)
        try other.applier.establish(
            cluster: ClusterID(RandomID(high: 1, low: 2)), membership: Membership([]))
        let before = other.applier.applied
        let script = "CREATE TABLE t(a); INSERT INTO t VALUES(1); PRAGMA user_version=7;"
        try load(try image(script), into: other)
        var after = other.applier.applied
        #expect(try MetadataTable.read(on: other.applier.session.connection) == after)
        #expect(after.position.index == before.position.index.next)
        after.position = before.position
        #expect(after == before)
        #expect(try other.rows("PRAGMA user_version") == ["7"])
        #expect(try other.rows("PRAGMA foreign_keys") == ["1"])
    }

    @Test func `A node that applies entries one by one has the same rows as one that batches them`()
        throws
    {
        let image = try image(ShellDumpTests.schemas[5] + ShellDumpTests.schemas[8])
        let texts = [
            "INSERT INTO old VALUES(3)", "", "INSERT INTO t VALUES('n', random())",
            "CREATE TABLE more AS SELECT random() AS r, a FROM t", "",
            "INSERT INTO t VALUES('m', abs(random() % 100))", "ANALYZE",
        ]
        var entries: [Entry] = []
        var index = database.applier.applied.position.index
        for text in texts {
            index = index.next
            entries.append(
                text.isEmpty
                    ? entry(image, at: index)
                    : StateMachineTests.entry(
                        index,
                        Command(
                            kind: .execute, statements: [Statement(text)], stamp: stamp(index))))
        }
        let other = try database.copied()
        let fresh = try database.copied()
        var results: [AppliedEntry] = []
        try database.applier.apply(entries, reporting: { _ in true }, into: &results)
        #expect(results.map(\.index) == entries.map(\.index))
        for entry in entries {
            var one: [AppliedEntry] = []
            try other.applier.apply([entry], reporting: { _ in false }, into: &one)
            try fresh.applier.apply([entry], reporting: { _ in true }, into: &one)
            fresh.applier = try Applier(path: fresh.applier.path)
        }
        #expect(try database.dump() == other.dump())
        #expect(try database.dump() == fresh.dump())
        #expect(database.applier.applied == other.applier.applied)
        #expect(database.applier.applied == fresh.applier.applied)
    }

    @Test(arguments: [true, false])
    func `A load that fails at any write leaves the old database, and can be done again`(
        isFull: Bool
    ) throws {
        let script = ShellDumpTests.schemas[6] + ShellDumpTests.schemas[8]
        let image = try image(script)
        let right = lines(try shell.run(".dump\n", on: "source"))
        let old = try database.dump()
        let position = database.applier.applied
        var failures = 0
        for writes in Array(0..<30) + [40, 60, 100, 150, 10_000] {
            csqlite_inject_write_fault(isFull ? SQLITE_FULL : SQLITE_IOERR | 3 << 8, Int64(writes))
            defer { csqlite_inject_write_fault(SQLITE_OK, 0) }
            do {
                let done = try load(image, into: database)
                #expect(done.error == nil)
                break
            } catch let fault as ApplyFault {
                csqlite_inject_write_fault(SQLITE_OK, 0)
                failures += 1
                #expect((fault == .diskFull) == isFull, "\(fault)")
                #expect(database.applier.applied == position)
                #expect(try database.dump() == old)
                // The process may end here.
                if writes % 3 == 0 { database.applier = try Applier(path: database.applier.path) }
                #expect(database.applier.applied == position)
                #expect(try database.dump() == old)
            }
        }
        #expect(failures > 20)
        #expect(try dump(database) == right)
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
    }

    private static let numbered =
        "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT); PRAGMA writable_schema=ON;"

    /// An object with a name of SQLite's own.
    private static func own(_ type: String, _ sql: String) -> String {
        let table = type == "trigger" ? "t" : "sqlite_x"
        return
            "\(numbered) INSERT INTO sqlite_schema VALUES('\(type)','sqlite_x','\(table)',0,'\(sql)');"
    }

    @Test(
        arguments: [
            ("CREATE VIEW v AS SELECT sqlite_version();", "can't be made here"),
            ("PRAGMA encoding='UTF-16le'; CREATE TABLE t(a);", "UTF-8"),
            ("CREATE VIRTUAL TABLE t USING dbstat;", "can't be made here"),
            ("CREATE TABLE t(a DEFAULT (fts5_source_id()));", "can't be made here"),
            (
                "CREATE VIRTUAL TABLE f USING fts5(a); CREATE TABLE t(a); CREATE TRIGGER f_data "
                    + "AFTER INSERT ON t BEGIN SELECT sqlite_version(); END;", "can't be made here"
            ),
            (
                "CREATE VIRTUAL TABLE f USING fts5(a); PRAGMA writable_schema=ON; "
                    + "UPDATE sqlite_schema SET type = 'view', rootpage = 0, sql = 'CREATE VIEW f_config AS "
                    + "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                    + "SELECT 1 AS k, i AS v FROM n' WHERE name = 'f_config';", "keeps its rows"
            ),
            (
                "\(numbered) DELETE FROM sqlite_schema WHERE name = 'sqlite_sequence';",
                "no sqlite_sequence"
            ),
            (
                "\(numbered) UPDATE sqlite_schema SET sql = 'CREATE TABLE sqlite_sequence(name,seq,x)' "
                    + "WHERE name = 'sqlite_sequence';", "not what SQLite makes"
            ),
            (own("table", "CREATE VIRTUAL TABLE sqlite_x USING dbstat"), "not what SQLite makes"),
            (
                own("view", "CREATE VIEW sqlite_x AS SELECT sqlite_version()"),
                "not what SQLite makes"
            ),
            (
                own("trigger", "CREATE TRIGGER sqlite_x AFTER INSERT ON t BEGIN SELECT 1; END"),
                "not what SQLite makes"
            ),
        ] as [(String, String)])
    func `What a client could not make does not come in with a file`(script: String, text: String)
        throws
    {
        _ = try shell.run(script, on: "source")
        guard case .unfit(let reason) = read(try bytes("source")) else {
            Issue.record("accepted: \(script)")
            return
        }
        #expect(reason.contains(text), "\(reason)")
        #expect(try leftovers().isEmpty)
    }

    @Test(arguments: [
        "CREATE TABLE t(\"caf", "CREATE TABLE \"caf", "CREATE TABLE t(a DEFAULT \"caf",
    ])
    func `A file whose schema is not UTF-8 is refused`(start: String) throws {
        let sql = Array(start.utf8) + [0xE9] + Array("\"".utf8)
        try {
            let connection = try Connection(path: shell.path("source"), access: .create)
            let end = start.contains("t(") ? ")" : "(a)"
            try connection.prepare(utf8: sql + Array(end.utf8)).run()
        }()
        guard case .unfit(let reason) = read(try bytes("source")) else {
            Issue.record("taken")
            return
        }
        #expect(reason.contains("not UTF-8"), "\(reason)")
    }

    @Test func `A file that is damaged is refused`() throws {
        _ = try shell.run(
            ShellDumpTests.schemas[6] + "CREATE INDEX z ON t(b, a);", on: "source")
        let bytes = try bytes("source")
        guard case .image = read(bytes) else {
            Issue.record("sound, and refused: \(read(bytes))")
            return
        }
        for count in [14, 50, 99, 100, 511, 4096, bytes.count - 4096, bytes.count - 1] {
            guard case .unfit = read(Array(bytes.prefix(count))) else {
                Issue.record("\(count) of \(bytes.count) bytes are taken")
                continue
            }
        }
        for page in 1..<(bytes.count / 4096) {
            var damaged = bytes
            for place in 0..<200 { damaged[page * 4096 + place] = 0xA5 }
            guard case .unfit = read(damaged) else {
                Issue.record("page \(page) is damaged, and taken")
                continue
            }
        }
        #expect(try leftovers().isEmpty)
    }

    @Test func `An index that lacks rows is refused`() throws {
        _ = try shell.run(
            "CREATE TABLE t(a, b); INSERT INTO t VALUES(1, 2), (3, 4); CREATE INDEX i ON t(a);"
                + "CREATE INDEX j ON t(b); PRAGMA writable_schema=ON; UPDATE sqlite_schema SET "
                + "rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'j') "
                + "WHERE name = 'i';", on: "source")
        guard case .unfit = read(try bytes("source")) else {
            Issue.record("taken")
            return
        }
    }

    @Test func `A backup of one database loads into another`() throws {
        final class Taker: ResultStream {
            var bytes: [UInt8] = []
            func begin() -> ResultStreamBeginning { .began(deadline: nil) }
            func send(_ part: ResultPart) -> ResultStreamStep {
                for case .content(let more) in part.pieces { bytes += more }
                return .sent(waited: .zero)
            }
        }
        for request in [BackupRequest(), BackupRequest(compress: true), BackupRequest(form: .sql)] {
            let taker = Taker()
            #expect(try database.reader().backUp(request, to: taker) == .streamed)
            let other = try Database()
            switch read(taker.bytes) {
            case .image(let image): try load(image, into: other)
            case .sql(let text, let isTransaction):
                #expect(!isTransaction)
                try other.execute(text)
            case let content: Issue.record("\(content)")
            }
            #expect(try dump(other) == dump(database))
        }
        // And the file of a node as it lies on its disk.
        guard case .image(let image) = read(try database.bytes().bytes) else {
            Issue.record("refused")
            return
        }
        let other = try Database()
        try load(image, into: other)
        #expect(try dump(other) == dump(database))
    }

    @Test(arguments: [
        ("CREATE TABLE t(a); INSERT INTO t VALUES(1)", true),
        ("BEGIN; CREATE TABLE t(a); COMMIT;", false),
        ("PRAGMA foreign_keys=OFF; CREATE TABLE t(a)", false), ("VACUUM", false),
        ("INSERT INTO t VALUES('VACUUM; BEGIN')", true), ("", true),
    ])
    func `A dump without words about transactions is one`(sql: String, isTransaction: Bool) {
        #expect(read(Array(sql.utf8)) == .sql(sql, isTransaction: isTransaction))
        let writer = GzipWriter()
        if let packed = try? writer.add(Array(sql.utf8), isLast: true) {
            #expect(read(packed) == .sql(sql, isTransaction: isTransaction))
        }
    }

    @Test func `What nobody waits for any more is not looked at`() throws {
        _ = try shell.run("CREATE TABLE t(a);", on: "source")
        for content in [try bytes("source"), Array("CREATE TABLE t(a);".utf8)] {
            let upload = reader.begin()
            #expect(upload.add(content) == nil)
            upload.abandon()
            #expect(upload.finish() == .unfit("nobody waits for it any more"))
        }
        #expect(try leftovers().isEmpty)
    }

    @Test func `What a shell appends to a dump is left out`() {
        #expect(
            read(Array("BEGIN; COMMIT;\nPRAGMA foreign_keys=OFF;\n".utf8))
                == .sql("BEGIN; COMMIT;\n", isTransaction: false))
    }

    @Test func `SQL that is not UTF-8 is refused, small and large`() {
        let text = Array("INSERT INTO old VALUES('caf".utf8) + [0xE9] + Array("');\n".utf8)
        let small = LoadReader(
            directory: database.directory.path, packedBytes: 10,
            newID: { LoadID(high: 1, low: 2) })
        #expect(read(text) == .unfit(LoadReader.notUTF8))
        #expect(read(text, small) == .unfit("lines 1 to 2: \(LoadReader.notUTF8)"))
    }

    @Test func `A stream that breaks off is refused, however large it is`() throws {
        let text = try GzipWriter().add([UInt8](repeating: 32, count: 20_000), isLast: true)
        guard case .unfit = read(Array(text.dropLast(3))) else {
            Issue.record("taken")
            return
        }
        #expect(try leftovers().isEmpty)
    }

    @Test
    func `A body that is not wanted any more, or of which nothing can become, leaves nothing`()
        throws
    {
        _ = try shell.run("CREATE TABLE t(a);", on: "source")
        let file = try bytes("source")
        let packed = try GzipWriter().add(file, isLast: true)
        for body in [file, packed, Array("SELECT 1".utf8)] {
            var upload: LoadUpload? = reader.begin()
            #expect(upload?.add(body) == nil)
            #expect(try leftovers().count == 1)
            upload?.discard()
            #expect(try leftovers().isEmpty)
            #expect(upload?.add(body) == nil)
            upload = reader.begin()
            #expect(upload?.add(body) == nil)
            #expect(try leftovers().count == 1)
            upload = nil
            #expect(try leftovers().isEmpty)
        }
        // What is damaged shows in the middle, and what follows changes nothing.
        let upload = reader.begin()
        #expect(upload.add(Array(packed.prefix(20))) == nil)
        let fault = try #require(upload.add([UInt8](repeating: 0xff, count: 1000)))
        #expect(try leftovers().isEmpty)
        #expect(upload.add(Array(packed.dropFirst(20))) == fault)
        #expect(upload.finish() == fault)
        #expect(try leftovers().isEmpty)
    }

    @Test func `One byte, and none, are told from a packed stream`() throws {
        for text in ["", "x"] {
            let upload = reader.begin()
            #expect(upload.add(Array(text.utf8)) == nil)
            #expect(upload.finish() == .sql(text, isTransaction: true))
        }
        let half = reader.begin()
        #expect(half.add([0x1f]) == nil)
        #expect(half.add([0x8b]) == nil)
        guard case .unfit = half.finish() else {
            Issue.record("taken")
            return
        }
        #expect(try leftovers().isEmpty)
    }

    @Test func `An image that says something else of itself than it holds changes nothing`() throws
    {
        var image = try image("CREATE TABLE t(a);")
        let old = try database.dump()
        for change in [-1, 1, -4096] {
            image.byteCount += change
            let result = try load(image, into: database)
            #expect(result.error != nil)
            image.byteCount -= change
        }
        image.packed[20] ^= 0xFF
        #expect(try load(image, into: database).error != nil)
        // But for the position, which is in no table that is listed.
        #expect(try database.dump() == old)
        #expect(try database.rows("SELECT count(*) FROM old") == ["2"])
    }

    @Test func `A load beyond the limit on the database's size changes nothing`() throws {
        let limits = WriteLimits(steps: 50_000, growth: .max, database: 1 << 20, temporary: .max)
        let other = try Database(writes: limits)
        let image = try image(
            "CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(2000000));")
        #expect(try load(image, into: other).error?.contains("limit") == true)
        #expect(try other.rows("SELECT count(*) FROM sqlite_schema") == ["0"])
    }
}
