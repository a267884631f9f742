import Foundation
import Scratch
import Testing

@testable import StateMachine

/// Archives as an operator may give them, sound or not.
@Suite struct ExtensionArchiveTests {
    private typealias Item = ExtensionFolder.Item

    // MARK: tar

    private func header(
        _ name: String, _ size: Int, kind: Character = "0", prefix: String = ""
    ) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) {
            for (place, byte) in text.utf8.enumerated() { header[offset + place] = byte }
        }
        put(name, at: 0)
        put(String(size, radix: 8), at: 124)
        put(String(kind), at: 156)
        put("ustar\0" + "00", at: 257)
        put(prefix, at: 345)
        put("        ", at: 148)
        let sum = header.reduce(0) { $0 + Int($1) }
        put(String(sum, radix: 8) + "\0", at: 148)
        return header
    }

    private func filled(_ text: String) -> [UInt8] {
        Array(text.utf8) + [UInt8](repeating: 0, count: (512 - text.utf8.count % 512) % 512)
    }

    private let end = [UInt8](repeating: 0, count: 1024)

    @Test func `Files of a tar archive come under their last names, and only files`() throws {
        let bytes =
            header("../../etc/a.so", 3) + filled("abc") + header("folder/", 0, kind: "5")
            + header("link.so", 0, kind: "2") + header("b.so", 600, prefix: "x/y")
            + filled(String(repeating: "b", count: 600)) + header("._a.so", 2) + filled("no")
            + header("./c.so", 0) + end
        #expect(
            try TarArchive(bytes).files(10) == [
                Item(name: "a.so", bytes: Array("abc".utf8)),
                Item(name: "b.so", bytes: [UInt8](repeating: 0x62, count: 600)),
                Item(name: "c.so", bytes: []),
            ])
    }

    @Test func `Long names of a tar archive are known in both ways`() throws {
        let long = String(repeating: "n", count: 120) + ".so"
        let record = "path=x/\(long)\n"
        let attributes = "\(record.utf8.count + 4) \(record)"
        let bytes =
            header("@LongLink", long.utf8.count + 1, kind: "L") + filled(long + "\0")
            + header("cut", 1) + filled("1") + header("pax", attributes.utf8.count, kind: "x")
            + filled(attributes) + header("cut", 1) + filled("2") + header("short.so", 1)
            + filled("3") + end
        #expect(try TarArchive(bytes).files(10).map(\.name) == [long, long, "short.so"])
    }

    @Test func `A tar archive that is damaged, cut off or too full is refused`() throws {
        let sound = header("a.so", 3) + filled("abc") + end
        var damaged = sound
        damaged[3] ^= 1
        #expect(throws: ArchiveFault.self) { try TarArchive(damaged).files(10) }
        #expect(throws: ArchiveFault.self) { try TarArchive(Array(sound.prefix(513))).files(10) }
        #expect(throws: ArchiveFault.self) { try TarArchive(sound).files(0) }
        #expect(throws: ArchiveFault.self) {
            try TarArchive(unpacking: Array("no gzip".utf8), atMost: 10)
        }
        for count in sound.indices { _ = try? TarArchive(Array(sound.prefix(count))).files(10) }
        for place in sound.indices.prefix(515) {
            var other = sound
            other[place] ^= 0xFF
            _ = try? TarArchive(other).files(10)
        }
    }

    // MARK: zip

    /// Two files: `x/a.so` deflated, `b.so` stored; made by another program.
    private static let zip: [UInt8] = {
        let text =
            "UEsDBBQAAAAIAAAAIVBY8JpZBgAAAMgAAAAGAAAAeC9hLnNvS0wcHgAAUEsDBBQAAAAAAAAAIVBnuo7rAwAAAAMA"
            + "AAAEAAAAYi5zb3h5elBLAQIUAxQAAAAIAAAAIVBY8JpZBgAAAMgAAAAGAAAAAAAAAAAAAACAAQAAAAB4L2Euc29Q"
            + "SwECFAMUAAAAAAAAACFQZ7qO6wMAAAADAAAABAAAAAAAAAAAAAAAgAEqAAAAYi5zb1BLBQYAAAAAAgACAGYAAABP"
            + "AAAAAAA="
        return Data(base64Encoded: text).map { [UInt8]($0) } ?? []
    }()

    @Test func `Files of a zip archive come under their last names`() throws {
        #expect(ZipArchive.recognises(Self.zip))
        let items = try ZipArchive(Self.zip).files(atMost: 1000, 10)
        #expect(
            items == [
                Item(name: "a.so", bytes: [UInt8](repeating: 0x61, count: 200)),
                Item(name: "b.so", bytes: Array("xyz".utf8)),
            ])
    }

    @Test func `What a zip archive unpacks to is bounded, and whatever its bytes are is survived`()
        throws
    {
        #expect(throws: ArchiveFault.self) { try ZipArchive(Self.zip).files(atMost: 199, 10) }
        #expect(throws: ArchiveFault.self) { try ZipArchive(Self.zip).files(atMost: 202, 10) }
        #expect(throws: ArchiveFault.self) { try ZipArchive(Self.zip).files(atMost: 1000, 1) }
        #expect(throws: ArchiveFault.self) { try ZipArchive([]).files(atMost: 1000, 10) }
        for count in Self.zip.indices {
            #expect(throws: ArchiveFault.self) {
                try ZipArchive(Array(Self.zip.prefix(count))).files(atMost: 1000, 10)
            }
        }
        for place in Self.zip.indices {
            for change in [0x01, 0x80, 0xFF] as [UInt8] {
                var other = Self.zip
                other[place] ^= change
                _ = try? ZipArchive(other).files(atMost: 1000, 10)
            }
        }
    }

    // MARK: The folder

    @Test func `Each start fills the folder anew, and the hash is of names and bytes`() throws {
        let scratch = try TemporaryDirectory("extensions")
        let source = "\(scratch.path)/sources"
        try FileManager.default.createDirectory(
            atPath: "\(source)/below", withIntermediateDirectories: true)
        func write(_ text: String, _ name: String) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(source)/\(name)"))
        }
        try write("1", "b.so")
        try write("2", "a.so")
        try write("3", ".hidden")
        let folder = ExtensionFolder(scratch.path)
        let first = try folder.gather([source])
        #expect(first.map(\.name) == ["a.so", "b.so"])
        #expect(try folder.gather(["\(source)/b.so", "\(source)/a.so"]) == first)
        try write("4", "a.so")
        let second = try folder.gather([source])
        #expect(second[0].hash != first[0].hash && second[1] == first[1])
        #expect(throws: ExtensionFault.self) { try folder.gather([source, "\(source)/a.so"]) }
        #expect(throws: ExtensionFault.self) { try folder.gather(["/dev/null"]) }
        #expect(throws: ExtensionFault.self) { try folder.gather(["\(source)/nowhere"]) }
        #expect(try folder.gather([]) == [])
        #expect(!FileManager.default.fileExists(atPath: folder.path))
    }
}
