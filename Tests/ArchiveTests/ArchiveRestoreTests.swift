import Foundation
import ObjectStorage
import Raft
import Scratch
import StateMachine
import Testing
import Wire

@testable import Archive

struct ArchiveRestoreTests {
    /// Two bases, and pieces behind both; what the table held at each index.
    private func history() throws -> (HistoryFixture, [LogIndex: [String]]) {
        let fixture = try HistoryFixture()
        var seen: [LogIndex: [String]] = [:]
        func note(_ index: LogIndex) throws { seen[index] = try fixture.rows() }
        try fixture.execute("CREATE TABLE t(a TEXT)", at: 1000)
        try note(fixture.execute("INSERT INTO t VALUES('one')", at: 2000))
        try fixture.base()
        try note(fixture.execute("INSERT INTO t VALUES(hex(randomblob(4)))", at: 3000))
        try note(fixture.apply(.noop, term: 2))
        try fixture.piece()
        try note(fixture.execute("INSERT INTO t VALUES(datetime('now'))", at: 4000, term: 2))
        // The clock of the next leader stands behind.
        try note(fixture.execute("UPDATE t SET a = a || random()", at: 3500, term: 3))
        try note(fixture.execute("DELETE FROM t WHERE a LIKE 'one%'", at: 5000, term: 3))
        try fixture.piece()
        try note(fixture.execute("INSERT INTO t VALUES('six')", at: 6000, term: 3))
        try fixture.piece()
        try fixture.base()
        try note(fixture.execute("INSERT INTO t VALUES('seven')", at: 7000, term: 3))
        try fixture.piece()
        return (fixture, seen)
    }

    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "none"
        } catch {
            return "\(error)"
        }
    }

    @Test func `At each index the restored rows are those that were there`() throws {
        let (fixture, seen) = try history()
        for (index, rows) in seen {
            let (report, restored) = try fixture.restore(.index(index))
            #expect(report.position.index == index)
            #expect(restored == rows, "at \(index)")
        }
        let newest = try fixture.restore(.newest)
        #expect(newest.rows == (try fixture.rows()) && newest.0.entries == 1)
        #expect(newest.0.milliseconds == 7000)
    }

    @Test
    func `At a moment all is there that the log's clock has before it, and nothing behind it`()
        throws
    {
        let (fixture, seen) = try history()
        for (time, index) in [
            (2000, 2), (2999, 2), (3000, 4), (3500, 4), (4000, 6), (4999, 6), (5000, 7),
            (6000, 8), (6999, 8), (7000, 9),
        ] {
            let (report, rows) = try fixture.restore(.time(Int64(time)))
            #expect(report.position.index == LogIndex(UInt64(index)), "at \(time)")
            #expect(rows == seen[LogIndex(UInt64(index))], "at \(time)")
        }
        #expect(refusal { _ = try fixture.restore(.time(1999)) }.contains("begins at index 2"))
        #expect(refusal { _ = try fixture.restore(.time(7001)) }.contains("ends at index 9"))
        #expect(refusal { _ = try fixture.restore(.index(LogIndex(1))) }.contains("begins at"))
        #expect(
            refusal { _ = try fixture.restore(.index(LogIndex(10))) }.contains("ends at index 9"))
    }

    @Test func `A spoilt byte, wherever it is, and an object that is missing are refused by name`()
        throws
    {
        let (fixture, seen) = try history()
        let objects = try fixture.objects()
        #expect(objects.count == 6)
        let older = objects.filter { $0.contains("/00000000000000000002-") }
        #expect(older.count == 4)
        // The last piece holds the entry at which the second base stands: that does without it.
        for path in older where !path.contains("/00000000000000000008-") {
            let whole = try Data(contentsOf: URL(filePath: path))
            let name = URL(filePath: path).lastPathComponent
            for place in [0, 40, 100, 136, whole.count / 2, whole.count - 1] {
                var spoilt = whole
                spoilt[place] ^= 0x10
                try spoilt.write(to: URL(filePath: path))
                let text = refusal { _ = try fixture.restore(.index(LogIndex(7))) }
                #expect(text.contains(name) && text.contains("spoilt"), "byte \(place): \(text)")
            }
            for piece in [whole.dropLast(), whole + [0], Data()] {
                try piece.write(to: URL(filePath: path))
                #expect(refusal { _ = try fixture.restore(.index(LogIndex(7))) }.contains(name))
            }
            try FileManager.default.removeItem(atPath: path)
            let text = refusal { _ = try fixture.restore(.index(LogIndex(7))) }
            #expect(text.contains("missing") || text.contains("ends at index 4"), "\(text)")
            try whole.write(to: URL(filePath: path))
        }
        #expect(try fixture.restore(.index(LogIndex(7))).rows == seen[LogIndex(7)])
        // Nothing is left of what failed.
        let left = try FileManager.default.contentsOfDirectory(atPath: fixture.directory.path)
        #expect(!left.contains { $0.hasPrefix(".rqlited-restore") }, "\(left)")
    }

    @Test func `A base that was broken off on its way is in the way of no restore`() throws {
        let (fixture, seen) = try history()
        var name = try #require(fixture.end).base
        let newest =
            "\(fixture.directory.path)/store/db.archive/\(HistoryFixture.cluster)/\(name.text)"
        name.position.index = LogIndex(9)
        name.milliseconds = 99_000
        let folder = URL(filePath: newest).deletingLastPathComponent().appending(path: name.text)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        #expect(try fixture.restore(.newest).rows == fixture.rows())
        #expect(try fixture.restore(.index(LogIndex(9))).rows == seen[LogIndex(9)])
        #expect(try fixture.store.end(of: HistoryFixture.cluster) == fixture.end)
        // One behind which something lies that is nowhere else was taken away.
        try FileManager.default.removeItem(atPath: "\(newest)/base")
        for target in [ArchiveTarget.newest, .index(LogIndex(9)), .time(7000)] {
            let text = refusal { _ = try fixture.restore(target) }
            #expect(text.contains("base of") && text.contains("is missing"), "\(text)")
            #expect(text.contains("--at 8 restores it"), "\(text)")
        }
        #expect(try fixture.restore(.index(LogIndex(8))).rows == seen[LogIndex(8)])
    }

    @Test func `An object of another place under a name that fits is refused`() throws {
        let (fixture, _) = try history()
        let pieces = try fixture.objects().filter { !$0.hasSuffix("base") }
        let content = try Data(contentsOf: URL(filePath: pieces[1]))
        // The content of the second under the hash of its own, in the place of the first.
        let first = try #require(PieceName(URL(filePath: pieces[0]).lastPathComponent))
        let second = try #require(PieceName(URL(filePath: pieces[1]).lastPathComponent))
        var forged = first
        forged.hash = second.hash
        let folder = URL(filePath: pieces[0]).deletingLastPathComponent()
        try content.write(to: folder.appending(path: forged.text))
        try FileManager.default.removeItem(atPath: pieces[0])
        try FileManager.default.removeItem(atPath: pieces[1])
        let text = refusal { _ = try fixture.restore(.index(LogIndex(4))) }
        #expect(text.contains(forged.text) && text.contains("another object"), "\(text)")
    }

    @Test func `Of a piece with more entries than any has nothing is kept`() throws {
        let (fixture, _) = try history()
        let piece = try #require(try fixture.objects().first { !$0.hasSuffix("base") })
        let bytes = Array(try Data(contentsOf: URL(filePath: piece)))
        var header = try ArchiveHeader(decoding: Array(bytes.prefix(ArchiveHeader.size)))
        #expect(try ArchiveRestore.entries(of: bytes, header, "p", atMost: 2).count == 2)
        #expect(
            refusal { _ = try ArchiveRestore.entries(of: bytes, header, "p", atMost: 1) }
                .contains("more entries than any"))
        // What it says is no more than what it has.
        header.last.index = header.first
        #expect(
            refusal { _ = try ArchiveRestore.entries(of: bytes, header, "p", atMost: 1) }
                .contains("its entries are not"))
    }

    @Test func `A leader goes on behind the last piece, and what it can't read is no end`() throws {
        let (fixture, _) = try history()
        let end = try #require(try fixture.store.end(of: HistoryFixture.cluster))
        #expect(end == fixture.end)
        let other = ClusterID(RandomID(high: 1, low: 1))
        #expect(try fixture.store.end(of: other) == nil)
        let last = try #require(try fixture.objects().last { !$0.hasSuffix("base") })
        try Data("x".utf8).write(to: URL(filePath: last))
        #expect(
            refusal { _ = try fixture.store.end(of: HistoryFixture.cluster) }.contains("spoilt"))
    }

    @Test func `A base that comes late does not end the history that another leader went on with`()
        throws
    {
        let fixture = try HistoryFixture()
        var seen: [LogIndex: [String]] = [:]
        func insert(_ text: String, at milliseconds: Int64) throws {
            let index = try fixture.execute("INSERT INTO t VALUES('\(text)')", at: milliseconds)
            seen[index] = try fixture.rows()
        }
        try fixture.execute("CREATE TABLE t(a TEXT)", at: 1000)
        try fixture.base()
        try insert("two", at: 2000)
        try fixture.piece()
        // Two of them, and the second is no way on from the first either.
        try fixture.base(isLate: true)
        try insert("three", at: 3000)
        try fixture.piece()
        try fixture.base(isLate: true)
        try insert("four", at: 4000)
        try insert("five", at: 5000)
        try fixture.piece()
        #expect(try fixture.restore(.newest).rows == fixture.rows())
        for (index, rows) in seen {
            #expect(try fixture.restore(.index(index)).rows == rows, "at \(index)")
        }
        for (time, index) in [(2500, 2), (3000, 3), (3999, 3), (4500, 4), (5000, 5)] {
            #expect(
                try fixture.restore(.time(Int64(time))).rows == seen[LogIndex(UInt64(index))],
                "at \(time)")
        }
        #expect(refusal { _ = try fixture.restore(.time(5001)) }.contains("ends at index 5"))
        #expect(
            refusal { _ = try fixture.restore(.index(LogIndex(6))) }.contains("ends at index 5"))
        #expect(try fixture.store.end(of: HistoryFixture.cluster) == fixture.end)
    }

    @Test func `What a leader left behind a base while it caught up ends no search`() throws {
        let fixture = try HistoryFixture()
        try fixture.execute("CREATE TABLE t(a TEXT)", at: 1000)
        try fixture.base()
        try fixture.execute("INSERT INTO t VALUES('two')", at: 2000)
        try fixture.piece()
        let late = try fixture.base(isLate: true)
        try fixture.execute("INSERT INTO t VALUES('three')", at: 3000)
        try fixture.execute("INSERT INTO t VALUES('four')", at: 4000)
        try fixture.catchUp(behind: late, with: 1)
        try fixture.piece()
        try fixture.base(isLate: true)
        // Nothing was written since: the last piece proves where the newest base stands.
        var end = try #require(try fixture.store.end(of: HistoryFixture.cluster))
        #expect(end.pieces == 0 && end.entryHash == fixture.end?.entryHash)
        try fixture.execute("INSERT INTO t VALUES('five')", at: 5000)
        try fixture.piece()
        #expect(try fixture.restore(.newest).rows == fixture.rows())
        end = try #require(try fixture.store.end(of: HistoryFixture.cluster))
        #expect(end == fixture.end)
    }

    @Test func `Of a cluster that was set back the new history counts, and the old one is there`()
        throws
    {
        let old = try HistoryFixture()
        try old.execute("CREATE TABLE t(a TEXT)", at: 1000)
        for time: Int64 in [2000, 3000] { try old.execute("INSERT INTO t VALUES('old')", at: time) }
        try old.base()
        try old.execute("INSERT INTO t VALUES('older')", at: 4000)
        try old.piece()

        let new = try HistoryFixture(settingBack: old)
        try new.execute("CREATE TABLE t(a TEXT)", at: 1000)
        try new.execute("INSERT INTO t VALUES('new')", at: 9000, term: 2)
        try new.base()
        let before = try new.rows()
        try new.execute("INSERT INTO t VALUES('newer')", at: 9500, term: 2)
        try new.piece()

        #expect(try new.restore(.newest).rows == ["new", "newer"])
        #expect(try new.restore(.time(9200)).rows == before)
        #expect(try new.restore(.index(LogIndex(3))).rows == ["new", "newer"])
        #expect(try new.store.end(of: HistoryFixture.cluster) == new.end)
        #expect(try new.restore(.index(LogIndex(4))).rows == ["old", "old", "older"])
        #expect(try new.restore(.time(4000)).rows == ["old", "old", "older"])
    }

    @Test func `An end is known by its entry, not by its place alone`() throws {
        let (fixture, _) = try history()
        let end = try #require(try fixture.store.end(of: HistoryFixture.cluster))
        func entry(_ text: String, at index: LogIndex) -> Entry {
            Entry(
                index: index, term: end.position.term,
                payload: .command(
                    LogCommand.command(
                        Command(
                            kind: .execute,
                            statements: [Statement("INSERT INTO t VALUES('\(text)')")],
                            stamp: Stamp(milliseconds: 7000, seed: 4))
                    ).encoded()))
        }
        #expect(try end.isLast(entry("seven", at: end.position.index)))
        #expect(try !end.isLast(entry("other", at: end.position.index)))
        #expect(try !end.isLast(entry("seven", at: end.position.index.next)))
        // A base holds no entry: the piece that leads to it does.
        let base = try fixture.base()
        let behind = try #require(try fixture.store.end(of: HistoryFixture.cluster))
        #expect(behind.base == base)
        #expect(behind.pieces == 0)
        #expect(try behind.isLast(entry("seven", at: base.position.index)))
        #expect(try !behind.isLast(entry("other", at: base.position.index)))
        // Its place alone proves nothing.
        #expect(try !ArchiveEnd(of: base).isLast(entry("seven", at: base.position.index)))
    }

    @Test func `A write under a key that the base knows is not done twice`() throws {
        let fixture = try HistoryFixture()
        func insert() throws {
            var command = Command(
                kind: .execute, statements: [Statement("INSERT INTO t VALUES('once')")],
                stamp: Stamp(milliseconds: 10, seed: 1))
            command.key = RepeatKey("k", of: "somebody", for: command)
            try fixture.apply(.command(LogCommand.command(command).encoded()))
        }
        try fixture.execute("CREATE TABLE t(a TEXT)", at: 1)
        try insert()
        try fixture.base()
        try insert()
        try fixture.piece()
        #expect(try fixture.rows() == ["once"])
        #expect(try fixture.restore(.newest).rows == ["once"])
    }

    @Test
    func `An entry that was left out is left out again, though the decision stands behind it`()
        throws
    {
        let fixture = try HistoryFixture()
        try fixture.execute("CREATE TABLE t(a TEXT)", at: 1)
        try fixture.base()
        let poison = LogCommand.command(
            Command(
                kind: .execute, statements: [Statement("INSERT INTO t VALUES('poison')")],
                stamp: Stamp(milliseconds: 2, seed: 1))
        ).encoded()
        let index = fixture.applier.applied.position.index.next
        let skip = EntrySkip(
            index: index.rawValue, hash: CRC32C(poison).value)
        fixture.applier.decide(skip)
        try fixture.apply(.command(poison))
        try fixture.piece()
        try fixture.execute("INSERT INTO t VALUES('good')", at: 3)
        let seen = try fixture.rows()
        let before = fixture.applier.applied.position.index
        try fixture.apply(.command(LogCommand.skip(skip).encoded()))
        try fixture.piece()
        #expect(seen == ["good"])
        #expect(try fixture.restore(.newest).rows == seen)
        #expect(try fixture.restore(.index(before)).rows == seen)
        #expect(try fixture.restore(.index(index)).rows == [])
    }

    @Test func `Without the extensions that the nodes had nothing is restored`() throws {
        let (fixture, seen) = try history()
        let base = try #require(fixture.end).base
        func note(_ extensions: [(name: String, hash: String)]) throws {
            try fixture.store.note(
                extensions: extensions, behind: base, of: HistoryFixture.cluster,
                in: "\(fixture.directory.path)/spool")
        }
        try note([])
        #expect(try fixture.restore(.newest).rows == fixture.rows())
        // Another leader may have had others, and each says it whenever it leads.
        for _ in 0..<2 { try note([("sums.so", "0123456789abcdef"), ("a b.so", "00")]) }
        try note([("sums.so", "1123456789abcdef")])
        #expect(try fixture.store.end(of: HistoryFixture.cluster) == fixture.end)
        let text = refusal { _ = try fixture.restore(.newest) }
        #expect(text.contains("--extensions-path with a b.so, sums.so"), "\(text)")
        // Behind the base before there were none.
        #expect(try fixture.restore(.index(LogIndex(7))).rows == seen[LogIndex(7)])
        let object = try #require(try fixture.objects().first { $0.contains("/extensions-") })
        try Data("00 b.so".utf8).write(to: URL(filePath: object))
        #expect(refusal { _ = try fixture.restore(.newest) }.contains("spoilt"))
        // Nothing that is there is written over: a key may not be allowed to.
        try note([("sums.so", "0123456789abcdef"), ("a b.so", "00")])
        try note([("sums.so", "1123456789abcdef")])
        #expect(refusal { _ = try fixture.restore(.newest) }.contains("spoilt"))
    }

    @Test func `A restore tells what the leaders said of their software, each thing once`() throws {
        let (fixture, _) = try history()
        let base = try #require(fixture.end).base
        #expect(try fixture.restore(.newest).0.engines.isEmpty)
        for engine in ["3.40.1 a; options=", "3.53.0 b; options=", "3.40.1 a; options="] {
            try fixture.store.note(
                extensions: [], engine: engine, behind: base, of: HistoryFixture.cluster,
                in: "\(fixture.directory.path)/spool")
        }
        #expect(
            try fixture.restore(.newest).0.engines == ["3.40.1 a; options=", "3.53.0 b; options="])
        #expect(try fixture.store.end(of: HistoryFixture.cluster) == fixture.end)
        // Behind the base before nothing was said.
        #expect(try fixture.restore(.index(LogIndex(7))).0.engines.isEmpty)
    }

    @Test func `Targets are an index or a moment and nothing else`() {
        #expect(ArchiveTarget("7") == .index(LogIndex(7)))
        #expect(ArchiveTarget("1970-01-01T00:00:01Z") == .time(1000))
        #expect(ArchiveTarget("1970-01-01T00:00:01.25Z") == .time(1250))
        #expect(ArchiveTarget("1970-01-01T00:00:01.123456789Z") == .time(1123))
        for text in [
            "", "0", "-1", "+1", "1x", "99999999999999999999", "1970-01-01", "yesterday",
            "1970-01-01T00:00:01", "1970-01-01T00:00:01.Z", "1970-01-01T00:00:01.1234567890Z",
            "1970-01-01T00:00:01.1.1Z", "1970-13-01T00:00:01Z", "Z",
        ] {
            #expect(ArchiveTarget(text) == nil, "\(text)")
        }
    }
}
