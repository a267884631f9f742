import CSQLite
import Glibc
import Raft
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// Databases that come through the log in parts.
@Suite struct LoadPartsTests {
    private let shell: ShellDumpTests.Shell
    private let database: Database
    private static let id = LoadID(high: 1, low: 2)

    init() throws {
        shell = try ShellDumpTests.Shell()
        database = try Database()
        try database.execute("CREATE TABLE old(a PRIMARY KEY); INSERT INTO old VALUES(1), (2)")
    }

    private var reader: LoadReader {
        LoadReader(
            directory: database.directory.path, packedBytes: 3000, partBytes: 10_000,
            newID: { Self.id })
    }

    private static let script =
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b); WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
        + "FROM n LIMIT 200) INSERT INTO t SELECT i, randomblob(500) FROM n; CREATE INDEX x ON t(b);"

    private func bytes(_ name: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try LoadFile.read(shell.path(name)) {
            bytes += $0
            return true
        }
        return bytes
    }

    private func parcel(_ script: String = LoadPartsTests.script) throws -> LoadParcel {
        unlink(shell.path("source"))
        _ = try shell.run(script, on: "source")
        let upload = reader.begin()
        #expect(upload.add(try bytes("source")) == nil)
        return try #require(upload.finish().parcel)
    }

    private func part(_ parcel: LoadParcel, _ number: UInt32, at milliseconds: Int64 = 0) throws
        -> LogCommand
    {
        .loadPart(
            LoadPart(
                id: parcel.id, number: number, byteCount: parcel.byteCount,
                bytes: try #require(parcel.part(number)),
                stamp: Stamp(milliseconds: milliseconds, seed: 0)))
    }

    private func end(
        _ parcel: LoadParcel, _ action: LoadEnd.Action = .replace, onlyEmpty: Bool = false
    ) -> LogCommand {
        .loadEnd(
            LoadEnd(
                id: parcel.id, action: action, onlyEmpty: onlyEmpty, parts: parcel.parts,
                byteCount: parcel.byteCount))
    }

    @discardableResult
    private func apply(_ commands: [LogCommand], to database: Database) throws -> [String?] {
        var index = database.applier.applied.position.index
        let entries = commands.map { command in
            index = index.next
            return Entry(index: index, term: Term(1), payload: .command(command.encoded()))
        }
        var results: [AppliedEntry] = []
        try database.applier.apply(entries, reporting: { _ in true }, into: &results)
        #expect(results.map(\.index) == entries.map(\.index))
        return results.map { $0.result?.error }
    }

    private func apply(_ command: LogCommand) throws -> String? {
        try apply([command], to: database)[0]
    }

    private func all(_ parcel: LoadParcel) throws -> [LogCommand] {
        try (0..<parcel.parts).map { try part(parcel, $0) } + [end(parcel)]
    }

    private func lines(_ text: String) -> [Substring] { text.split(separator: "\n").sorted() }

    private func dump(_ database: Database) throws -> [Substring] {
        unlink(shell.path("dumped"))
        try database.bytes().bytes.write(to: shell.path("dumped"))
        return lines(try shell.run(".dump\n", on: "dumped"))
    }

    @Test func `A file beyond an entry goes in parts, and takes effect with the end alone`() throws
    {
        let parcel = try parcel()
        let right = lines(try shell.run(".dump\n", on: "source"))
        #expect(parcel.parts > 5)
        let old = try database.dump()
        let other = try database.copied()
        for number in 0..<parcel.parts {
            #expect(try apply(try part(parcel, number)) == nil)
            #expect(try database.dump() == old)
            #expect(try database.rows("SELECT count(*) FROM old") == ["2"])
            #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
            if number == 3 {
                // The process ends, another node gets a snapshot, and clients go on.
                database.applier = try Applier(path: database.applier.path)
                #expect(try database.copied().applier.applied == database.applier.applied)
                try database.execute(
                    "INSERT INTO old VALUES(3)", "VACUUM", "DELETE FROM old WHERE a = 3")
            }
        }
        #expect(database.applier.applied.load?.parts == parcel.parts)
        let late = try database.copied()
        #expect(try apply(end(parcel)) == nil)
        #expect(try dump(database) == right)
        #expect(database.applier.applied.load == nil)
        #expect(
            try MetadataTable.read(on: database.applier.session.connection)
                == database.applier.applied)
        #expect(try database.rows("PRAGMA integrity_check") == ["ok"])
        // A node that has them from a snapshot, and one that applies all in one batch.
        #expect(try apply([end(parcel)], to: late) == [nil])
        #expect(try late.dump() == database.dump())
        #expect(late.applier.applied.load == nil)
        #expect(try apply(try all(parcel), to: other).allSatisfy { $0 == nil })
        #expect(try other.dump() == database.dump())
        database.applier = try Applier(path: database.applier.path)
        try database.execute("INSERT INTO t VALUES(1000, 'more')")
        #expect(try database.rows("SELECT count(*) FROM t") == ["201"])
    }

    @Test func `A part that comes twice is kept once, one that is missing fails the load`() throws {
        let parcel = try parcel()
        let old = try database.dump()
        #expect(try apply(try part(parcel, 1)) != nil)
        #expect(database.applier.applied.load == nil)
        for number: UInt32 in [0, 0, 1, 0, 1] {
            #expect(try apply(try part(parcel, number)) == nil)
        }
        #expect(try apply(try part(parcel, 3)) != nil)
        #expect(try apply(end(parcel)) != nil)
        #expect(database.applier.applied.load == nil)
        #expect(try database.dump() == old)
        #expect(try apply(end(parcel)) != nil)
        // Parts of something else under the same name.
        #expect(try apply(try part(parcel, 0)) == nil)
        var alien = LoadPart(id: parcel.id, number: 1, byteCount: parcel.byteCount + 1, bytes: [1])
        #expect(try apply(.loadPart(alien)) != nil)
        for number in 1..<parcel.parts - 1 { #expect(try apply(try part(parcel, number)) == nil) }
        alien.byteCount -= 1
        alien.number = parcel.parts - 1
        #expect(try apply(.loadPart(alien)) == nil)
        #expect(try apply(end(parcel))?.contains("unpacked") == true)
        #expect(database.applier.applied.load == nil)
        #expect(try database.dump() == old)
        for bytes in [[], [UInt8](repeating: 0, count: 17 << 20)] {
            let part = LoadPart(id: parcel.id, number: 0, byteCount: 5, bytes: bytes)
            #expect(try apply(.loadPart(part)) != nil)
        }
        #expect(try apply(try all(parcel), to: database).allSatisfy { $0 == nil })
    }

    @Test(arguments: [
        "membership = substr(membership, 1, 99) || x'00' || substr(membership, 101) WHERE id = 4",
        "membership = x'' WHERE id = 3", "cluster = zeroblob(16) WHERE id = 5",
        "membership_index = membership_index + 1 WHERE id = 6",
        "progress = zeroblob(12) WHERE id = 2", "progress = zeroblob(2) WHERE id = 2",
        "id = 99 WHERE id = 4",
        // As earlier versions kept them.
        "membership_index = -1, progress = substr(progress, 1, 8) WHERE id > 1",
    ])
    func `A part that one node's disk has changed is its damage, and no verdict on the load`(
        change: String
    ) throws {
        let parcel = try parcel()
        for number in 0..<parcel.parts { #expect(try apply(try part(parcel, number)) == nil) }
        #expect(
            performing: {
                let other = try database.copied(changing: { (connection) throws(SQLiteError) in
                    try MetadataTable.prepare("UPDATE main.@ SET \(change)", on: connection).run()
                })
                // Found when it is opened, or when the part is needed.
                try apply([end(parcel)], to: other)
            },
            throws: { ($0 as? ApplyFault)?.isDamage ?? false })
        #expect(try apply(end(parcel)) == nil)
    }

    @Test func `Parts that an earlier version kept are read as they are`() throws {
        let parcel = try parcel()
        for number in 0..<parcel.parts { #expect(try apply(try part(parcel, number)) == nil) }
        let other = try database.copied(changing: { (connection) throws(SQLiteError) in
            try MetadataTable.prepare(
                "UPDATE main.@ SET progress = substr(progress, 1, 8) WHERE id > 1", on: connection
            ).run()
        })
        #expect(try apply([end(parcel)], to: other) == [nil])
        #expect(try apply(end(parcel)) == nil)
        #expect(try other.dump() == database.dump())
    }

    @Test func `Another load waits until one is given up, by the log's clock`() throws {
        let parcel = try parcel()
        let start = database.applier.applied.lastMilliseconds
        func other(_ milliseconds: Int64) -> LogCommand {
            .loadPart(
                LoadPart(
                    id: LoadID(high: 7, low: 7), number: 0, byteCount: 9, bytes: [9],
                    stamp: Stamp(milliseconds: start + milliseconds, seed: 0)))
        }
        #expect(try apply(try part(parcel, 0, at: start + 1_000_000)) == nil)
        #expect(try apply(other(1_000_001))?.contains("under way") == true)
        #expect(try apply(try part(parcel, 1, at: start + 1_030_000)) == nil)
        #expect(try apply(other(1_089_999)) != nil)
        #expect(try apply(other(1_090_000)) == nil)
        #expect(try apply(try part(parcel, 2, at: start + 1_090_001))?.contains("given up") == true)
        #expect(try apply(end(parcel, .forget)) == nil)
        #expect(database.applier.applied.load?.id == LoadID(high: 7, low: 7))
        #expect(
            try MetadataTable.read(on: database.applier.session.connection)
                == database.applier.applied)
        let forget = LoadEnd(id: LoadID(high: 7, low: 7), action: .forget, parts: 0, byteCount: 0)
        #expect(try apply(.loadEnd(forget)) == nil)
        #expect(database.applier.applied.load == nil)
    }

    @Test(arguments: [false, true])
    func `What nobody goes on with is gone at a marker`(inUnits: Bool) throws {
        database.applier.avoidsSharedTransactions = inUnits
        let parcel = try parcel()
        let start = database.applier.applied.lastMilliseconds
        #expect(try apply(try part(parcel, 0, at: start + 1_000_000)) == nil)
        let marker = LogCommand.checksum(ChecksumMarker(tracing: .goOn, piece: nil))
        func tick(_ milliseconds: Int64) throws {
            let command = Command(
                kind: .execute, statements: [Statement("INSERT INTO old VALUES(\(milliseconds))")],
                stamp: Stamp(milliseconds: start + milliseconds, seed: 0))
            #expect(try apply([.command(command), marker], to: database)[0] == nil)
        }
        try tick(1_600_000)
        #expect(database.applier.applied.load != nil)
        try tick(1_600_001)
        #expect(database.applier.applied.load == nil)
        #expect(
            try MetadataTable.read(on: database.applier.session.connection)
                == database.applier.applied)
    }

    @Test(arguments: [true, false])
    func `A write that fails leaves the old database, and can be done again`(isFull: Bool) throws {
        let parcel = try parcel()
        let right = lines(try shell.run(".dump\n", on: "source"))
        let old = try database.dump()
        var failures = 0
        for command in try all(parcel) {
            for writes in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 10_000] {
                let before = database.applier.applied
                csqlite_inject_write_fault(
                    isFull ? SQLITE_FULL : SQLITE_IOERR | 3 << 8, Int64(writes))
                defer { csqlite_inject_write_fault(SQLITE_OK, 0) }
                do {
                    #expect(try apply(command) == nil)
                    break
                } catch let fault as ApplyFault {
                    csqlite_inject_write_fault(SQLITE_OK, 0)
                    failures += 1
                    #expect((fault == .diskFull) == isFull, "\(fault)")
                    if writes % 2 == 0 {
                        database.applier = try Applier(path: database.applier.path)
                    }
                    #expect(database.applier.applied == before)
                    #expect(try database.dump() == old)
                }
            }
        }
        #expect(failures > 20)
        #expect(try dump(database) == right)
    }

    @Test func `A load without room waits, before it takes what there is`() throws {
        let parcel = try parcel()
        let right = lines(try shell.run(".dump\n", on: "source"))
        let old = try database.dump()
        var commands = try all(parcel)
        let end = commands.removeLast()
        for command in commands { #expect(try apply(command) == nil) }
        let before = database.applier.applied
        let room = parcel.byteCount * 2
        database.applier.room = { _ in room }
        #expect(throws: ApplyFault.diskFull) { try apply(end) }
        #expect(database.applier.applied == before)
        #expect(try database.dump() == old)
        database.applier.room = { _ in room / 16 * 17 + 17 }
        #expect(try apply(end) == nil)
        #expect(try dump(database) == right)
    }

    @Test func `A dump beyond an entry becomes a database, for an empty one alone`() throws {
        _ = try shell.run(
            Self.script
                + "CREATE TABLE u(a DEFAULT 'BEGIN;'); INSERT INTO u VALUES('x;\ny; COMMIT;\n'),"
                + "('END;'); CREATE TRIGGER g AFTER INSERT ON u BEGIN SELECT 1;\nSELECT 2;\nEND;"
                + "CREATE VIEW v AS SELECT a FROM u;", on: "source")
        let right = lines(try shell.run(".dump\n", on: "source"))
        let text = try shell.run(".dump\n", on: "source")
        let upload = reader.begin()
        #expect(upload.add(Array(text.utf8)) == nil)
        let parcel = try #require(upload.finish().parcel)
        #expect(parcel.onlyEmpty)
        let old = try database.dump()
        var commands = try all(parcel)
        commands[commands.count - 1] = end(parcel, onlyEmpty: true)
        #expect(try apply(commands, to: database).last??.contains("empty database") == true)
        #expect(try database.dump() == old)
        let empty = try Database()
        #expect(try apply(commands, to: empty).allSatisfy { $0 == nil })
        #expect(try dump(empty) == right)
        // What fails names its lines.
        let broken = reader.begin()
        #expect(
            broken.add(Array((text.dropLast(8) + "INSERT INTO nowhere VALUES(1);\nCOMMIT;\n").utf8))
                == nil)
        guard case .unfit(let reason) = broken.finish() else {
            Issue.record("taken")
            return
        }
        #expect(reason.contains("nowhere"))
        #expect(reason.hasPrefix("lines 1 to "))
        // Cut off behind a statement, all that is there runs well.
        let cut = reader.begin()
        #expect(text.hasSuffix("COMMIT;\n"))
        #expect(cut.add(Array(text.dropLast(8).utf8)) == nil)
        guard case .unfit(let lack) = cut.finish() else {
            Issue.record("half of a dump is taken")
            return
        }
        #expect(lack.contains("not whole"))
    }

    @Test(arguments: [
        ("PRAGMA foreign_keys=OFF;\n-- x\nBEGIN TRANSACTION;\nX", "BEGIN TRANSACTION;"),
        ("begin;\nX", "begin;"), ("-- '\nBEGIN;\n", "BEGIN;"),
        ("INSERT INTO t VALUES('\nBEGIN;\n');", nil), ("", nil),
        ("CREATE TABLE t(a);\nBEGIN;", nil), ("BEGIN; SELECT 1;", nil),
    ])
    func `Only what begins a dump as a whole is taken for its beginning`(
        text: String, found: String?
    ) {
        #expect(DumpTransaction.begin(of: text).map { String(text[$0]) } == found)
    }

    @Test func `A dump is given up before its database fills the disk`() throws {
        let file = try LoadFile(shell.path("dump"))
        var dump = LoadedDump(of: file)
        dump.spareBytes = 1 << 62
        try file.write(Array("BEGIN;\nCREATE TABLE t(a);\nCOMMIT;\n".utf8))
        do throws(LoadRefusal) {
            DatabaseDirectory.drop(try dump.build())
            Issue.record("made")
        } catch {
            guard case .tooLarge(let text) = error.content else {
                Issue.record("\(error)")
                return
            }
            #expect(text.contains("no room"))
        }
    }

    @Test func `A dump of many pieces is cut between statements`() throws {
        var dump = LoadedDump(of: try LoadFile(shell.path("dump")))
        dump.pieceBytes = 64
        dump.lastBytes = 40
        let text =
            "BEGIN;\nCREATE TABLE t(a, b);\n"
            + (0..<500).map { "INSERT INTO t VALUES(\($0), 'a;\nb\($0)');\n" }.joined()
            + "CREATE TRIGGER g AFTER INSERT ON t BEGIN\nSELECT 1;\nSELECT 2;\nEND;\nCOMMIT;\n"
        let file = try LoadFile(shell.path("dump"))
        try file.write(Array(text.utf8))
        let made = try dump.build()
        defer { DatabaseDirectory.drop(made) }
        let rows = try Connection(path: made, access: .readOnly).integer(
            "SELECT count(DISTINCT b) FROM t")
        #expect(rows == 500)
    }

    /// SQLite's shell has the row that makes a virtual table before those of the tables in which it keeps its own.
    @Test(arguments: [true, false])
    func `A dump of many pieces brings virtual tables`(isByShell: Bool) throws {
        let script = [
            "CREATE TABLE z(a)", "CREATE VIRTUAL TABLE words USING fts5(w)",
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) "
                + "INSERT INTO words SELECT 'the number ' || i FROM n",
            "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)",
            "INSERT INTO boxes VALUES(1, 2, 3)",
            "CREATE VIEW v AS SELECT w FROM words WHERE words MATCH '7777'",
            "CREATE TRIGGER r AFTER INSERT ON z BEGIN SELECT 1; SELECT 2; END",
        ]
        let text: [UInt8]
        if isByShell {
            _ = try shell.run(script.joined(separator: ";\n") + ";\n", on: "source")
            text = Array(try shell.run(".dump\n", on: "source").utf8)
        } else {
            let source = try Database()
            for sql in script { try source.execute(sql) }
            text = try source.reader().sqlDump().bytes
        }
        // More than one is read at once.
        #expect(text.count > 1 << 20)
        let file = try LoadFile(shell.path("dump"))
        try file.write(text)
        var dump = LoadedDump(of: file)
        dump.pieceBytes = 64
        dump.lastBytes = 40
        let made = try dump.build()
        defer { DatabaseDirectory.drop(made) }
        let connection = try Connection(path: made, access: .readOnly)
        #expect(try connection.text("SELECT w FROM v") == "the number 7777")
        #expect(try connection.integer("SELECT x1 FROM boxes") == 3)
        #expect(
            try connection.integer("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'")
                == 1)
    }

    /// They wait in memory until the dump is through.
    @Test func `What makes the virtual tables of a dump has a bound`() throws {
        let rows = (0..<40).map { number in
            """
            INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) \
            VALUES('table','t\(number)','t\(number)',0,'CREATE VIRTUAL TABLE t\(number) USING fts5(w)');

            """
        }
        let file = try LoadFile(shell.path("dump"))
        try file.write(
            Array("BEGIN;\nPRAGMA writable_schema=ON;\n\(rows.joined())COMMIT;\n".utf8))
        var dump = LoadedDump(of: file)
        dump.pieceBytes = 64
        dump.lastBytes = 40
        dump.statementBytes = 4096
        do throws(LoadRefusal) {
            DatabaseDirectory.drop(try dump.build())
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".contains("virtual tables"), "\(error)")
        }
    }

    /// As SQLite itself has it.
    @Test(arguments: [
        "", ";", ";\n", "SELECT 1;\nSELECT 2; \t\r\nSELECT", "SELECT 'a;\n';\nSELECT 'b;\n",
        "SELECT 1; -- x\nSELECT 2 -- ;\n", "SELECT 1;\n/* ;\n */ SELECT 2 /* ;\n",
        "SELECT \"a\"\"b;\n",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN\nSELECT 1;\nSELECT 2;\nEND;\nSELECT",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN\nSELECT 1;\nEND",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN\nSELECT 1;\nEND\n;\n",
        "EXPLAIN CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN SELECT 1;\nEND;\nSELECT 1;\nSELECT",
        "CREATE TABLE trigger_(a);\nINSERT INTO t VALUES(';\nEND;\n');\nSELECT [a;\n];\nx",
    ])
    func `A text is cut behind the last line that ends a statement`(text: String) {
        let bytes = Array(text.utf8)
        let ends = bytes.indices.filter { place in
            let before = bytes[..<place].last { ![9, 13, 32].contains($0) }
            return bytes[place] == UInt8(ascii: "\n") && before == UInt8(ascii: ";")
                && sqlite3_complete(String(decoding: bytes[...place], as: UTF8.self)) == 1
        }
        let found = bytes.withUnsafeBytes { RequestScan.wholeLines(of: $0) }
        #expect(found == ends.last.map { $0 + 1 })
    }

    @Test func `A dump that nobody waits for ends, and a check of a file does`() throws {
        let flag = LoadFlag()
        let file = try LoadFile(shell.path("dump"))
        try file.write(Array("CREATE TABLE t(a);\n".utf8))
        flag.raise()
        let dump = LoadedDump(of: file, unless: flag)
        let refusal = #expect(throws: LoadRefusal.self) { try dump.build() }
        #expect(refusal?.content == .unfit("nobody waits for it any more"))
        // Enough steps for SQLite to ask.
        _ = try shell.run(
            "CREATE TABLE t(a, b); WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) "
                + "INSERT INTO t SELECT i, i FROM n; CREATE INDEX x ON t(b);", on: "source")
        let schema = LoadedSchema(
            of: shell.path("source"), DatabaseDirectory(path: database.directory.path))
        let error = #expect(throws: DirectoryError.self) { try schema.check(unless: flag) }
        #expect(error?.description.contains("interrupt") == true, "\(error.debugDescription)")
    }
}

extension LoadContent {
    fileprivate var parcel: LoadParcel? {
        if case .parcel(let parcel) = self { parcel } else { nil }
    }
}
