import Glibc
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// Copies that are kept for clients that come back for the rest.
@Suite struct KeptCopiesTests {
    private final class Taker: ResultStream {
        var pieces: [ResultPart.Piece] = []
        /// Parts that are taken; what comes then finds nobody.
        var patience = Int.max

        func begin() -> ResultStreamBeginning { .began(deadline: nil) }

        func send(_ part: ResultPart) -> ResultStreamStep {
            guard patience > 0 else { return .ended }
            patience -= 1
            pieces += part.pieces
            return .sent(waited: .zero)
        }

        var bytes: [UInt8] {
            pieces.flatMap { piece -> [UInt8] in
                if case .content(let bytes) = piece { bytes } else { [] }
            }
        }

        var head: CopyHead? {
            if case .copyBegins(let head)? = pieces.first { head } else { nil }
        }
    }

    private let database: Database
    private let kept = KeptCopies()

    init() throws {
        database = try Database()
        _ = try database.execute("CREATE TABLE t(a)")
        try grow()
    }

    private func grow() throws {
        _ = try database.execute(
            "INSERT INTO t SELECT randomblob(1000) FROM (WITH n(i) AS (SELECT 1 UNION ALL "
                + "SELECT i + 1 FROM n LIMIT 900) SELECT i FROM n)")
    }

    private func take(
        _ selection: CopySelection?, _ form: BackupRequest = BackupRequest(), parts: Int = .max
    ) throws -> Taker {
        let reader = try Reader(path: database.applier.path, kept: kept)
        let taker = Taker()
        taker.patience = parts
        var request = form
        request.selection = selection
        _ = reader.backUp(request, to: taker)
        return taker
    }

    @Test(arguments: [
        BackupRequest(), BackupRequest(vacuum: true), BackupRequest(form: .delete),
    ])
    func `The rest of a copy is that of the same copy, whatever is written meanwhile`(
        form: BackupRequest
    ) throws {
        let cut = try take(CopySelection(), form, parts: 2)
        let tag = try #require(cut.head?.tag)
        let first = cut.bytes
        #expect(!first.isEmpty)
        try grow()
        let selection = CopySelection(
            tags: ["x", tag], range: .bytes(from: UInt64(first.count), through: nil))
        let rest = try take(selection, form)
        let whole = try take(CopySelection(tags: [tag], isRequired: true), form)
        #expect(whole.head?.extent == .whole)
        #expect(first + rest.bytes == whole.bytes)
        #expect(first.count < whole.bytes.count)
        #expect(rest.head?.logIndex == cut.head?.logIndex)
        #expect(rest.pieces.last == .end(error: nil, logIndex: cut.head?.logIndex ?? 0))
        // Anywhere, also within what is put into the header.
        for range in [0..<19, 19..<40, 18..<19, 17..<18, 4096..<(4096 + 200_000)] {
            let part = try take(
                CopySelection(
                    tags: [tag],
                    range: .bytes(
                        from: UInt64(range.lowerBound), through: UInt64(range.upperBound - 1))),
                form)
            #expect(part.bytes == Array(whole.bytes[range]))
        }
        let length = UInt64(whole.bytes.count)
        let outside = try take(
            CopySelection(tags: [tag], range: .bytes(from: length, through: nil)), form)
        #expect(outside.head?.extent == .outside(of: length))
        #expect(outside.bytes.isEmpty)
    }

    @Test func `A tag of another form, or of a copy that is gone, gets a new copy or none`() throws
    {
        let tag = try #require(try take(CopySelection()).head?.tag)
        let range = CopyRange.bytes(from: 100, through: nil)
        let other = try take(
            CopySelection(tags: [tag], range: range), BackupRequest(form: .delete))
        #expect(other.head?.extent == .whole)
        #expect(other.head?.tag != tag)
        kept.expire(at: .now + .seconds(61))
        let new = try take(CopySelection(tags: [tag], range: range))
        #expect(new.head?.extent == .whole)
        #expect(new.head?.tag != tag)
        let refused = try take(CopySelection(tags: [tag], isRequired: true))
        #expect(refused.head?.extent == .gone)
        #expect(refused.bytes.isEmpty)
    }

    @Test func `Two copies of the same index have two tags`() throws {
        let tags = try (0..<3).map { _ in try #require(try take(CopySelection()).head?.tag) }
        #expect(Set(tags).count == 3)
        #expect(tags.allSatisfy { $0.contains("-binary-") })
        // Two are kept.
        #expect(tags.map { kept.find($0) != nil } == [false, true, true])
    }

    @Test func `What is neither asked for with a tag nor the same twice is not kept`() throws {
        #expect(try take(nil).head == nil)
        #expect(try take(CopySelection(), BackupRequest(form: .sql)).head == nil)
        #expect(try take(CopySelection(), BackupRequest(compress: true)).head == nil)
    }

    // MARK: Bounds

    private func file(_ bytes: Int) throws -> CopyFile {
        let path = "\(database.directory.path)/copied"
        try [UInt8](repeating: 1, count: bytes).write(to: path)
        defer { unlink(path) }
        return try CopyFile(path, asWAL: false)
    }

    @Test func `Copies go by age, number and size, but never while they are read`() throws {
        let kept = KeptCopies(.init(count: 2, bytes: 1000, age: .seconds(60)))
        let start = ContinuousClock.now
        kept.begin(try file(300), as: "a", showing: 1)
        kept.expire(at: start + .seconds(1000))
        #expect(kept.find("a")?.file.length == 300)
        kept.end("a", at: start)
        kept.expire(at: start + .seconds(1000))
        #expect(kept.find("a") != nil)
        kept.end("a", at: start)
        kept.end("a", at: start)
        kept.expire(at: start + .seconds(60))
        #expect(kept.find("a") != nil)
        kept.end("a", at: start + .seconds(30))
        kept.expire(at: start + .seconds(91))
        #expect(kept.find("a") == nil)
        // By size.
        for (place, name) in ["b", "c"].enumerated() {
            kept.begin(try file(600), as: name, showing: 1)
            kept.end(name, at: start + .seconds(place))
        }
        #expect(kept.find("b") == nil)
        #expect(kept.find("c") != nil)
        kept.end("c")
        kept.close()
        #expect(kept.find("c") == nil)
        kept.begin(try file(1), as: "d", showing: 1)
        #expect(kept.find("d") == nil)
    }

    @Test func `Room for copies is given back`() throws {
        let descriptors = { () throws -> Int in
            var count = 0
            guard let directory = opendir("/proc/self/fd") else { return 0 }
            defer { closedir(directory) }
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                var target = [UInt8](repeating: 0, count: 4096)
                let length = readlink("/proc/self/fd/\(name)", &target, target.count)
                let text = String(decoding: target.prefix(max(length, 0)), as: UTF8.self)
                if text.hasPrefix(database.directory.path), text.hasSuffix("(deleted)") {
                    count += 1
                }
            }
            return count
        }
        for _ in 0..<10 { _ = try take(CopySelection()) }
        #expect(try descriptors() == 2)
        kept.close()
        #expect(try descriptors() == 0)
    }
}
