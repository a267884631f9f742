import Glibc
import Gzip
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// Bodies that are read as they are, and tables in them.
@Suite struct ImportTableTests {
    private let shell: ShellDumpTests.Shell
    private let database: Database

    init() throws {
        shell = try ShellDumpTests.Shell()
        database = try Database()
    }

    private func keep(_ bytes: [UInt8]) throws -> KeptUpload {
        let reader = LoadReader(
            directory: database.directory.path, packedBytes: 60 << 20,
            newID: { LoadID(high: 1, low: 2) })
        let upload = reader.begin()
        _ = upload.add(bytes)
        return try upload.keep()
    }

    private func bytes(_ script: String) throws -> [UInt8] {
        _ = try shell.run(script, on: "source")
        var bytes: [UInt8] = []
        try LoadFile.read(shell.path("source")) {
            bytes += $0
            return true
        }
        return bytes
    }

    @Test func `A body is read in pieces, unpacked, and gone with the object`() throws {
        let text = Array("one\ntwo\n".utf8)
        for body in [text, try GzipWriter().add(text, isLast: true)] {
            var kept: KeptUpload? = try keep(body)
            #expect(kept?.read(at: 0, 4) == Array("one\n".utf8))
            #expect(kept?.read(at: 4, 100) == Array("two\n".utf8))
            #expect(kept?.read(at: 8, 100) == [])
            kept = nil
            #expect(access("\(database.directory.path)/tmp", F_OK) == 0)
            #expect(rmdir("\(database.directory.path)/tmp") == 0)
        }
        #expect(throws: KeptUploadFault.self) { _ = try keep([0x1f, 0x8b, 1, 2]) }
        #expect(throws: KeptUploadFault.self) { _ = try keep([]) }
    }

    @Test func `A table is read with values of each kind, but for generated columns`() throws {
        let file = try bytes(
            "CREATE TABLE \"My T\"(a INTEGER PRIMARY KEY, \"b\"\"c\", d AS (a + 1), e AS (a) STORED);"
                + "INSERT INTO \"My T\" VALUES(1, 'x' || char(0) || 'ü'), (2, x'00ff'), (3, 0.5),"
                + "(4, NULL); CREATE VIEW v AS SELECT 1; CREATE VIRTUAL TABLE f USING fts5(w);")
        let kept = try keep(file)
        let table = try kept.table("my t")
        #expect(table.columns == ["a", "b\"c"])
        var rows: [[Value]] = []
        while let row = try table.next() { rows.append(row) }
        #expect(try table.next() == nil)
        #expect(
            rows == [
                [.integer(1), .text("x\0ü")], [.integer(2), .blob([0, 255])],
                [.integer(3), .real(0.5)], [.integer(4), .null],
            ])
        for name in ["v", "f", "nowhere", "sqlite_schema"] {
            #expect(throws: KeptUploadFault.self) { _ = try kept.table(name) }
        }
        #expect(throws: KeptUploadFault.self) { _ = try keep(Array("a,b".utf8)).table("t") }
        #expect(throws: KeptUploadFault.self) { _ = try keep(Array(file.prefix(99))).table("t") }
    }

    @Test(arguments: [
        "TABLE pragma_table_xinfo(x)", "VIRTUAL TABLE pragma_table_xinfo USING fts4(name)",
    ])
    func `What else the file holds doesn't hide the table's columns`(other: String) throws {
        let table = try keep(
            try bytes("CREATE \(other); CREATE TABLE t(a); INSERT INTO t VALUES(1);")
        )
        .table("t")
        #expect(table.columns == ["a"])
        #expect(try table.next() == [.integer(1)])
    }

    @Test func `A text that is not UTF-8 is refused`() throws {
        let file = try bytes(
            "CREATE TABLE t(a); INSERT INTO t VALUES(CAST(x'ff41' AS TEXT));")
        let table = try keep(file).table("t")
        #expect(throws: KeptUploadFault.self) { _ = try table.next() }
    }

    @Test func `A table whose columns are not named in UTF-8 is refused`() throws {
        try {
            let connection = try Connection(path: shell.path("source"), access: .create)
            let sql = Array("CREATE TABLE t(\"caf".utf8) + [0xE9] + Array("\", b)".utf8)
            try connection.prepare(utf8: sql).run()
            try connection.execute("INSERT INTO t VALUES(1, 2)")
        }()
        let kept = try keep(try bytes(""))
        #expect(throws: KeptUploadFault.self) { _ = try kept.table("t") }
    }
}
