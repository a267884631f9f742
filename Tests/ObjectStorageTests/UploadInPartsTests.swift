import Foundation
import JSON
import Scratch
import ServerTesting
import Synchronization
import Telemetry
import Testing
import Threads
import Time

@testable import ObjectStorage

/// Uploads in parts, against moto's S3 behind a front that verifies each hash and fails when it is told to.
@Suite(.serialized) struct UploadInPartsTests {
    private static let partBytes: Int64 = 64 << 10
    private static let path = "some dir/copy+1.gz"
    private static let marker = BackupMarker(index: 7, cluster: "c", digest: "d")

    private let server: StorageDouble
    private let directory: TemporaryDirectory
    private let stop = StopFlag()

    init() throws {
        server = try StorageDouble(.s3)
        directory = try TemporaryDirectory("rqd-parts", isInMemory: false)
    }

    private var noteFolder: String { "\(directory.path)/uploads" }
    private var notes: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: noteFolder)) ?? []
    }

    /// - Parameter bucket: another one than there is.
    private func storage(
        _ notes: UploadNotes? = nil, bucket: String? = nil, tries: Int = 4
    ) throws -> S3Storage {
        let text =
            #"{"type":"s3","interval":"1s","sub":{"endpoint":"\#(server.url)","region":"us-east-1","#
            + #""access_key_id":"\#(server.announced["id"]?.string ?? "")","#
            + #""secret_access_key":"\#(server.announced["secret"]?.string ?? "")","#
            + #""force_path_style":true,"bucket":"\#(bucket ?? "backups")","path":"\#(Self.path)"}}"#
        let settings = try AutoBackupSettings(parsing: Array(text.utf8)) { _ in nil }
        guard case .s3(let place) = settings.destination else { throw StorageFault("no S3") }
        var rules = UploadRules()
        rules.threshold = 2 * Self.partBytes
        rules.partBytes = Self.partBytes
        rules.tries = tries
        rules.pause = .milliseconds(1)
        // On a starved machine the server may take longer than a node that stops waits.
        rules.abortTime = .seconds(60)
        return S3Storage(
            place, hasTimestamp: false,
            notes: notes ?? UploadNotes(directory: noteFolder), rules: rules
        ) { _ in nil }
    }

    private static func bytes(_ count: Int64) -> [UInt8] {
        (0..<Int(count)).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 7) }
    }

    private func copy(_ count: Int64) throws -> UploadFile {
        let file = try UploadFile(in: "\(directory.path)/spool")
        try file.add(Self.bytes(count))
        _ = try file.finish()
        return file
    }

    private func store(_ count: Int64, in storage: S3Storage) throws {
        try storage.store(try copy(count), Self.marker, at: .init(seconds: 1), stop)
    }

    private final class Taken {
        var bytes: [UInt8] = []
    }

    private func expect(_ count: Int64, in storage: S3Storage) throws {
        let taken = Taken()
        try storage.fetch(timeout: .seconds(60), stop) { taken.bytes += $0 }
        #expect(taken.bytes == Self.bytes(count), "\(taken.bytes.count) bytes")
        #expect(try storage.marker(stop) == Self.marker)
        #expect(try server.unfinished().isEmpty)
        #expect(notes.isEmpty)
    }

    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "none"
        } catch {
            return "\(error)"
        }
    }

    @Test func `Ten thousand parts are enough for any size, and no part is above S3's limit`() {
        let rules = UploadRules()
        for size: Int64 in [
            256 << 20 + 1, 640_000 << 20, 640_000 << 20 + 1, 5 << 40, 10_000 * (5 << 30),
        ] {
            let parts = rules.parts(of: size) ?? []
            #expect(parts.count <= 10_000 && parts.first?.lowerBound == 0, "\(size)")
            #expect(parts.last?.upperBound == size)
            #expect(parts.allSatisfy { $0.count <= 5 << 30 })
            #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
            #expect(parts.dropLast().allSatisfy { $0.count >= 5 << 20 })
        }
        #expect(rules.parts(of: 10_000 * (5 << 30) + 1) == nil)
        #expect(rules.parts(of: 100 << 20)?.count == 2)
    }

    @Test func `What goes in parts is read back byte for byte, with what it says of itself`() throws
    {
        let storage = try storage()
        var parts = 0
        for (size, count) in [
            (2 * Self.partBytes, 0), (2 * Self.partBytes + 1, 3), (3 * Self.partBytes, 3),
            (5 * Self.partBytes - 1, 5),
        ] {
            try store(size, in: storage)
            try expect(size, in: storage)
            parts += count
            #expect(try server.requests("part") == parts, "\(size)")
        }
        try storage.store(try copy(3 * Self.partBytes), inArchive: "a/b-1", stop)
        let taken = Taken()
        try storage.fetch(fromArchive: "a/b-1", stop) { taken.bytes += $0 }
        #expect(taken.bytes == Self.bytes(3 * Self.partBytes))
    }

    @Test(arguments: ["begin", "part", "complete"], ["refuse", "cut", "lose"])
    func `A request that fails for a moment is sent again, wherever it was`(
        kind: String, fault: String
    ) throws {
        let storage = try storage()
        try server.spoil(kind, ["pass", fault].suffix(kind == "part" ? 2 : 1) + [fault])
        try store(4 * Self.partBytes, in: storage)
        if kind == "begin", fault == "lose" {
            // Nobody but the storage knows of those; they have no parts, and cost nothing.
            #expect(try server.unfinished().count == 2)
            #expect(notes.isEmpty)
        } else {
            try expect(4 * Self.partBytes, in: storage)
        }
    }

    @Test func `A download from the archive goes on where it broke off`() throws {
        let storage = try storage()
        let size = 20 * Self.partBytes
        try storage.store(try copy(size), inArchive: "a/b-1", stop)
        try server.spoil("get", ["half", "refuse", "half"])
        let taken = Taken()
        try storage.fetch(fromArchive: "a/b-1", stop) { taken.bytes += $0 }
        #expect(taken.bytes == Self.bytes(size), "\(taken.bytes.count) bytes")
        #expect(try server.requests("get") == 4)
        // What whoever takes it does not want is not asked for again.
        let said = refusal {
            try storage.fetch(fromArchive: "a/b-1", stop) { _ throws(StorageFault) in
                throw StorageFault("no room", isTransient: true)
            }
        }
        #expect(said.contains("no room"), "\(said)")
        #expect(try server.requests("get") == 5)
        try server.spoil("get", Array(repeating: "refuse", count: 4))
        let refused = refusal { try storage.fetch(fromArchive: "a/b-1", stop) { _ in } }
        #expect(refused.contains("SlowDown"), "\(refused)")
        #expect(try server.requests("get") == 9)
    }

    @Test func `An error behind a good status is one, and the completion is tried again`() throws {
        let storage = try storage()
        try server.spoil("complete", ["inner", "inner"])
        try store(3 * Self.partBytes, in: storage)
        #expect(try server.requests("complete") == 3)
        try expect(3 * Self.partBytes, in: storage)
    }

    @Test(arguments: ["begin", "part", "complete"])
    func `An upload that fails is taken back, and what lay there lies there still`(kind: String)
        throws
    {
        let storage = try storage()
        try store(10, in: storage)
        try server.spoil(kind, Array(repeating: "refuse", count: 4))
        let said = refusal { try store(4 * Self.partBytes, in: storage) }
        #expect(said.contains("SlowDown"), "\(said)")
        try expect(10, in: storage)
        #expect(try server.requests("abort") == (kind == "begin" ? 0 : 1))
        try store(4 * Self.partBytes, in: storage)
        try expect(4 * Self.partBytes, in: storage)
    }

    @Test(.timeLimit(.minutes(5)))
    func `A node that stops in the middle of a part takes the upload back`() throws {
        let storage = try storage()
        try store(10, in: storage)
        try server.spoil("part", ["pass", "hold"])
        let done = Mailbox<String>()
        let copy = try copy(4 * Self.partBytes)
        let box = Mutex(Handed(copy: copy))
        let thread = try NamedThread("upload") { [stop] in
            do {
                let copy = box.withLock { $0.copy }
                try storage.store(copy, Self.marker, at: .init(seconds: 1), stop)
                done.post("none")
            } catch {
                done.post("\(error)")
            }
        }
        let deadline = MonotonicTime.now + .seconds(60)
        while try server.requests("part") < 2, MonotonicTime.now < deadline {}
        #expect(try server.unfinished().count == 1)
        #expect(notes.count == 1)
        stop.raise()
        let said = done.take(atMost: 1)[0]
        thread.join()
        #expect(said.contains("given up, for the node stops"), "\(said)")
        #expect(try server.unfinished().isEmpty)
        #expect(notes.isEmpty)
    }

    @Test func `What can't be taken back is noted, and the next process takes it back`() throws {
        let first = UploadNotes(directory: noteFolder)
        let storage = try storage(first)
        let refused = Array(repeating: "refuse", count: 10)
        try server.control([
            .init(
                "faults",
                .object([
                    .init("part", .array(refused.map { .string($0) })),
                    .init("abort", .array(refused.map { .string($0) })),
                ]))
        ])
        #expect(refusal { try store(4 * Self.partBytes, in: storage) }.contains("SlowDown"))
        #expect(try server.unfinished().count == 1)
        #expect(notes.count == 1)
        // Still refused: it stays noted.
        let next = try self.storage(UploadNotes(directory: noteFolder))
        #expect(next.takeBackUnfinished(stop).count == 1)
        #expect(notes.count == 1)
        // Another configuration knows whose it is, and leaves it alone.
        let other = try self.storage(UploadNotes(directory: noteFolder), bucket: "other")
        let faults = other.takeBackUnfinished(stop)
        #expect(faults.count == 1 && faults[0].description.contains("another place"), "\(faults)")
        // Nor does a listing that is refused say that nothing is there.
        let listing = #expect(throws: StorageFault.self) { try other.list(archive: "", stop) }
        #expect(listing?.isUnseen == true)
        try server.control([.init("faults", .object([]))])
        #expect(next.takeBackUnfinished(stop).isEmpty)
        #expect(try server.unfinished().isEmpty)
        #expect(notes.isEmpty)
        // And one that is over is asked about once.
        #expect(next.takeBackUnfinished(stop).isEmpty)
    }

    @Test func `Nobody takes back what this process works at, and strange files are no notes`()
        throws
    {
        let notes = UploadNotes(directory: noteFolder)
        let note = UploadNotes.Note(bucket: "b", path: "p", id: "i/+&<")
        try notes.begin(note)
        #expect(notes.left().isEmpty)
        #expect(UploadNotes(directory: noteFolder).left() == [note])
        let names = self.notes
        for (name, text) in [("x", "{"), ("y", "[]"), ("z", #"{"bucket":1}"#), (".note-1", "")] {
            try Data(text.utf8).write(to: URL(filePath: "\(noteFolder)/\(name)"))
        }
        #expect(UploadNotes(directory: noteFolder).left() == [note])
        // Nor are those that a disk has spoilt: they name another upload, or none.
        let file = URL(filePath: "\(noteFolder)/\(try #require(names.first))")
        let whole = try Data(contentsOf: file)
        for place in whole.indices {
            var spoilt = whole
            spoilt[place] ^= 1 << UInt8(place % 8)
            for content in [spoilt, whole.prefix(place)] {
                try content.write(to: file)
                let left = UploadNotes(directory: noteFolder).left()
                #expect(left.isEmpty || left == [note], "byte \(place): \(left)")
            }
        }
        try whole.write(to: file)
        notes.end(note)
        #expect(UploadNotes(directory: noteFolder).left().isEmpty)
    }
}
