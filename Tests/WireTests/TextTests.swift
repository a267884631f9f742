import Testing
import Wire

/// Texts as they stand in entries and messages.
@Suite struct TextTests {
    /// Characters of each length at the borders of what Unicode has, and what only looks like them.
    private static let pieces: [[UInt8]] = [
        [], [0], [0x41], [0x7F], [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80],
        [0xED, 0x9F, 0xBF],
        [0xEE, 0x80, 0x80], [0xEF, 0xBF, 0xBF], [0xF0, 0x90, 0x80, 0x80], [0xF4, 0x8F, 0xBF, 0xBF],
        [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x41], [0xE0, 0x9F, 0xBF],
        [0xE1, 0x80], [0xE1, 0x80, 0x41], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF],
        [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x90, 0x80], [0xF0, 0x90, 0x80, 0x41],
        [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFE], [0xFF],
    ]

    /// Words of eight bytes are looked at together: so each piece stands at each place of one.
    @Test func `A text is read exactly if Swift takes its bytes for UTF-8`() throws {
        for piece in Self.pieces {
            for before in 0..<17 {
                for after in [0, 1, 9] {
                    let bytes =
                        Array(repeating: UInt8(0x61), count: before) + piece
                        + Array(repeating: UInt8(0x62), count: after)
                    var writer = ByteWriter()
                    writer.write(bytes)
                    writer.write(UInt8(7))
                    var reader = ByteReader(writer.bytes)
                    if let text = String(validating: bytes, as: UTF8.self) {
                        #expect(Array(try reader.readText().utf8) == bytes)
                        #expect(text.utf8.count == bytes.count)
                        #expect(try reader.readByte() == 7)
                    } else {
                        #expect(throws: WireError.notUTF8) { try reader.readText() }
                    }
                }
            }
        }
    }
}
