import Raft
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// Files whose schema no SQLite would write, as somebody sends them who means harm.
@Suite struct StrangeSchemaTests {
    private let shell: ShellDumpTests.Shell
    private let database: Database
    /// A table whose index the schema names some 200,000 times, in seven pages.
    private let file: [UInt8]

    init() throws {
        shell = try ShellDumpTests.Shell()
        database = try Database()
        file = Self.repeatingFile()
    }

    private var reader: LoadReader {
        LoadReader(
            directory: database.directory.path, packedBytes: 60 << 20,
            newID: { LoadID(high: 1, low: 2) })
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

    // MARK: Pages (https://sqlite.org/fileformat2.html §1.6)

    private static let pageSize = 512

    private static func big(_ value: Int, _ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    /// - Parameters:
    ///   - kind: of a page of a b-tree.
    ///   - right: the last child; nil: it is a leaf.
    ///   - start: where its head is.
    private static func page(
        _ kind: UInt8, _ cells: [[UInt8]], right: Int? = nil, from start: Int = 0
    ) -> [UInt8] {
        var page = [UInt8](repeating: 0, count: pageSize)
        var pointers: [UInt8] = []
        var end = pageSize
        for cell in cells {
            end -= cell.count
            page.replaceSubrange(end..<end + cell.count, with: cell)
            pointers += big(end, 2)
        }
        var head = [kind, 0, 0]
        head += big(cells.count, 2)
        head += big(end, 2)
        head.append(0)
        if let right { head += big(right, 4) }
        head += pointers
        page.replaceSubrange(start..<start + head.count, with: head)
        return page
    }

    /// A row of the schema, in a leaf.
    private static func row(
        _ id: UInt8, _ texts: [String], root: UInt8, sql: String?
    ) -> [UInt8] {
        // No text is so long that its type needs two bytes.
        var types = texts.map { UInt8(13 + 2 * $0.utf8.count) }
        types.append(1)
        types.append(sql.map { UInt8(13 + 2 * $0.utf8.count) } ?? 0)
        var record = [UInt8(types.count + 1)]
        record += types
        for text in texts { record += Array(text.utf8) }
        record.append(root)
        if let sql { record += Array(sql.utf8) }
        return [UInt8(record.count), id] + record
    }

    /// Each of the upper three levels names the one below sixty times.
    private static func repeatingFile() -> [UInt8] {
        func inner(_ first: Int, _ child: Int, from start: Int = 0) -> [UInt8] {
            let count = (pageSize - start - 12) / 7
            let cells = (0..<count).map { big($0 == 0 ? first : child, 4) + [1] }
            return page(5, cells, right: child, from: start)
        }
        let table = row(1, ["table", "t", "t"], root: 6, sql: "CREATE TABLE t(a UNIQUE)")
        let index = row(2, ["index", "sqlite_autoindex_t_1", "t"], root: 7, sql: nil)
        var pages = inner(2, 3, from: 100)
        pages += page(13, [table])
        pages += inner(4, 4)
        pages += inner(5, 5)
        pages += page(13, [index])
        pages += page(13, [])
        pages += page(10, [])
        var head = Array("SQLite format 3\0".utf8)
        head += big(pageSize, 2)
        head += [1, 1, 0, 64, 32, 32]
        // Changes, pages; none is free; the schema's version and form; texts are UTF-8.
        for value in [1, pages.count / pageSize, 0, 0, 1, 4, 0, 0, 1] { head += big(value, 4) }
        head += [UInt8](repeating: 0, count: 92 - head.count)
        head += big(1, 4)
        head += big(3_040_001, 4)
        pages.replaceSubrange(0..<head.count, with: head)
        return pages
    }

    // MARK: What becomes of them

    @Test func `SQLite reads the file, which takes it many steps`() throws {
        try file.write(to: shell.path("source"))
        #expect(
            try shell.run("SELECT count(*) > 100000 FROM sqlite_schema;", on: "source") == "1\n")
    }

    @Test func `Reading a schema without an end ends by itself, and it is refused`() throws {
        try file.write(to: shell.path("source"))
        let path = shell.path("source")
        let schema = LoadedSchema(of: path, DatabaseDirectory(path: database.directory.path))
        do throws(DirectoryError) {
            try schema.check(unless: LoadFlag(schemaSteps: 100_000))
            Issue.record("taken")
        } catch {
            #expect("\(error)".contains("no end"), "\(error)")
        }
    }

    @Test func `A client that goes ends the first look at the schema`() throws {
        try file.write(to: shell.path("source"))
        let flag = LoadFlag()
        flag.raise()
        do throws(SQLiteError) {
            _ = try LoadedSchema.connect(shell.path("source"), unless: flag)
            Issue.record("connected")
        } catch {
            #expect(error.message == "interrupted", "\(error)")
        }
        let upload = reader.begin()
        #expect(upload.add(file) == nil)
        let kept = try upload.keep()
        upload.abandon()
        #expect(throws: KeptUploadFault.self) { _ = try kept.table("t") }
    }

    @Test func `What is kept of a body is read when the body is not wanted any more`() throws {
        let upload = reader.begin()
        #expect(upload.add(try bytes("CREATE TABLE t(a); INSERT INTO t VALUES(1);")) == nil)
        let kept = try upload.keep()
        upload.discard()
        #expect(try kept.table("t").next() == [.integer(1)])
    }

    @Test func `A virtual table that has a page is neither loaded nor imported`() throws {
        let file = try bytes(
            "CREATE VIRTUAL TABLE f USING fts5(w); CREATE TABLE t(a); PRAGMA writable_schema=ON; "
                + "UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'f';")
        let upload = reader.begin()
        #expect(upload.add(file) == nil)
        guard case .unfit(let reason) = upload.finish() else {
            Issue.record("loaded")
            return
        }
        #expect(reason.contains("\"f\""), "\(reason)")
        let other = reader.begin()
        #expect(other.add(file) == nil)
        let kept = try other.keep()
        #expect(throws: KeptUploadFault.self) { _ = try kept.table("f") }
        #expect(try kept.table("t").columns == ["a"])
    }
}
