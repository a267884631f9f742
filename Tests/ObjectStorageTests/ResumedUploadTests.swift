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

/// Uploads in parts to Google's storage, against a double that keeps what Google would, compares the
/// checksum, and fails when it is told to.
@Suite(.serialized) struct ResumedUploadTests {
    private static let partBytes = GCSStorage.unit
    private static let object = "some dir/copy+1.gz"
    private static let marker = BackupMarker(index: 7, cluster: "c", digest: "d")

    private let server: StorageDouble
    private let directory: TemporaryDirectory
    private let stop = StopFlag()

    init() throws {
        server = try StorageDouble(.gcs)
        directory = try TemporaryDirectory("rqd-resumed", isInMemory: false)
    }

    /// - Parameter units: of each part.
    private func storage(units: Int64 = 1) throws -> GCSStorage {
        let key = "\(directory.path)/key.json"
        let text = server.announced["key"]?.text() ?? ""
        try Data(text.utf8).write(to: URL(filePath: key))
        let configuration =
            #"{"type":"gcs","interval":"1s","sub":{"endpoint":"\#(server.url)","bucket":"backups","#
            + #""name":"\#(Self.object)","credentials_path":"\#(key)"}}"#
        let settings = try AutoBackupSettings(parsing: Array(configuration.utf8)) { _ in nil }
        guard case .gcs(let place) = settings.destination else { throw StorageFault("not Google") }
        var rules = UploadRules()
        rules.threshold = 2 * Self.partBytes
        rules.partBytes = units * GCSStorage.unit
        rules.tries = 4
        rules.pause = .milliseconds(1)
        return try GCSStorage(place, hasTimestamp: false, rules: rules)
    }

    /// Each unit of them differs from all others: their period is a prime number.
    private static func bytes(_ count: Int64) -> [UInt8] {
        let period = (0..<65_521).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 7) }
        var bytes: [UInt8] = []
        while bytes.count < count { bytes += period.prefix(Int(count) - bytes.count) }
        return bytes
    }

    private func copy(_ count: Int64) throws -> UploadFile {
        let file = try UploadFile(in: "\(directory.path)/spool")
        try file.add(Self.bytes(count))
        _ = try file.finish()
        return file
    }

    private func store(_ count: Int64, in storage: GCSStorage) throws {
        try storage.store(try copy(count), Self.marker, at: .init(seconds: 1), stop)
    }

    private final class Taken {
        var bytes: [UInt8] = []
    }

    private func expect(_ count: Int64, in storage: GCSStorage) throws {
        let taken = Taken()
        try storage.fetch(timeout: .seconds(60), stop) { taken.bytes += $0 }
        #expect(taken.bytes == Self.bytes(count), "\(taken.bytes.count) bytes")
        #expect(try storage.marker(stop) == Self.marker)
    }

    /// Nothing was asked that Google would not understand.
    private func expectProper() throws {
        #expect(try server.control([.init("violations", .null)]) == .array([]))
    }

    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "none"
        } catch {
            return "\(error)"
        }
    }

    @Test func `What goes in parts is read back byte for byte, with what it says of itself`() throws
    {
        let storage = try storage()
        var parts = 0
        for (size, count) in [
            (2 * Self.partBytes, 0), (2 * Self.partBytes + 1, 3), (3 * Self.partBytes, 3),
            (4 * Self.partBytes - 1, 4),
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
        #expect(try server.requests("ask") == 0)
        #expect(try server.unfinished().isEmpty)
        try expectProper()
    }

    @Test(arguments: ["refuse", "cut", "lose", "short", "none"])
    func `A part that fails is gone on with from where Google has it`(fault: String) throws {
        // Of one unit nothing smaller can be kept.
        let storage = try storage(units: fault == "short" ? 2 : 1)
        try server.spoil("part", ["pass", fault, fault, "pass", fault])
        try store(4 * Self.partBytes, in: storage)
        try expect(4 * Self.partBytes, in: storage)
        // Who says how much it has need not be asked.
        let isKnown = ["short", "none"].contains(fault)
        #expect((try server.requests("ask") == 0) == isKnown)
        #expect(try server.unfinished().isEmpty)
        try expectProper()
    }

    @Test func `A question that fails is asked again`() throws {
        let storage = try storage()
        try server.control([
            .init(
                "faults",
                .object([
                    .init("part", .array(["pass", "cut"])),
                    .init("ask", .array(["refuse", "lose"])),
                    .init("begin", .array(["refuse", "refuse", "refuse"])),
                ]))
        ])
        try store(4 * Self.partBytes, in: storage)
        try expect(4 * Self.partBytes, in: storage)
        #expect(try server.requests("ask") == 3)
        #expect(try server.requests("begin") == 4)
        try expectProper()
    }

    @Test func `An upload whose last answer is lost is done`() throws {
        let storage = try storage()
        try server.spoil("part", ["pass", "pass", "lose"])
        try store(3 * Self.partBytes, in: storage)
        #expect(try server.requests("part") == 3)
        #expect(try server.requests("ask") == 1)
        try expect(3 * Self.partBytes, in: storage)
        try expectProper()
    }

    @Test(arguments: [
        ("refuse", "told to"), ("none", "nothing of a part was kept"), ("gone", "lost the upload"),
        ("back", "and now 0"), ("wild", "were kept, and now"), ("spoil", "CRC32C"),
    ])
    func `An upload that fails is cancelled, and what lay there lies there still`(
        fault: String, text: String
    ) throws {
        let storage = try storage()
        try store(10, in: storage)
        try server.spoil("part", ["pass"] + Array(repeating: fault, count: 8))
        let said = refusal { try store(4 * Self.partBytes, in: storage) }
        #expect(said.contains(text), "\(said)")
        #expect(!said.contains("upload_id"), "\(said)")
        try expect(10, in: storage)
        #expect(try server.requests("cancel") == 1)
        #expect(try server.unfinished().isEmpty)
        try server.spoil("part", [])
        try store(4 * Self.partBytes, in: storage)
        try expect(4 * Self.partBytes, in: storage)
        try expectProper()
    }

    @Test func `A copy does not go to an address of another kind than that of the bucket`() throws {
        let storage = try storage()
        try server.spoil("begin", ["clear"])
        let said = refusal { try store(4 * Self.partBytes, in: storage) }
        #expect(said.contains("no address came"), "\(said)")
        #expect(try server.requests("part") == 0)
    }

    @Test(.timeLimit(.minutes(5)))
    func `A node that stops in the middle of a part cancels the upload`() throws {
        let storage = try storage()
        try store(10, in: storage)
        try server.spoil("part", ["pass", "hold"])
        let done = Mailbox<String>()
        let box = Mutex(Handed(copy: try copy(4 * Self.partBytes)))
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
        stop.raise()
        let said = done.take(atMost: 1)[0]
        thread.join()
        #expect(said.contains("given up, for the node stops"), "\(said)")
        #expect(try server.unfinished().isEmpty)
    }

    @Test func `Checksums are written as Google writes them`() throws {
        // "123456789", of RFC 3720's check value E3069283.
        let file = try UploadFile(in: "\(directory.path)/spool")
        try file.add(Array("123456789".utf8))
        #expect(try file.checksum() == 0xE306_9283)
        #expect(Base64Writer.of([0xE3, 0x06, 0x92, 0x83]) == "4waSgw==")
        let cases = [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
        ]
        for (text, expected) in cases { #expect(Base64Writer.of(Array(text.utf8)) == expected) }
        #expect(Base64Writer.of([0xFB, 0xFF, 0xFE]) == "+//+")
    }
}
