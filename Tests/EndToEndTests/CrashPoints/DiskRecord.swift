import Foundation

/// One line of what `RecordingShim` wrote down.
struct DiskRecord {
    enum Kind: UInt8 {
        case fileCreated = 0x43
        case directoryCreated = 0x44
        case renamed = 0x52
        case removed = 0x55
        case written = 0x57
        case resized = 0x54
        case reserved = 0x46
        case syncBegan = 0x42
        case syncEnded = 0x45
        /// Of the test itself: a write was answered; its number, and the index of its entry.
        case acknowledged = 0x41
        /// Of the test itself: something about the cluster is so from now on.
        case milestone = 0x4D
    }

    var kind: Kind
    var inode: UInt64
    var number: UInt64
    var path: String
    var bytes: [UInt8]

    /// All of a recording.
    static func read(_ path: String) throws -> [DiskRecord] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        var records: [DiskRecord] = []
        var offset = 0
        func word(_ at: Int) -> Int {
            (0..<4).reduce(0) { $0 | Int(data[offset + at + $1]) << (8 * $1) }
        }
        func wide(_ at: Int) -> UInt64 { UInt64(word(at)) | UInt64(word(at + 4)) << 32 }
        while offset + 32 <= data.count {
            let (length, pathLength) = (word(0), word(24))
            guard let kind = Kind(rawValue: UInt8(word(4))), offset + 32 + length <= data.count
            else { throw CocoaError(.fileReadCorruptFile) }
            let begin = offset + 32
            records.append(
                DiskRecord(
                    kind: kind, inode: wide(8), number: wide(16),
                    path: String(decoding: data[begin..<begin + pathLength], as: UTF8.self),
                    bytes: Array(data[begin + pathLength..<begin + length])))
            offset = begin + length
        }
        return records
    }

    /// Adds a note of the test: what it was told by then lies behind what the node did for it.
    static func note(_ kind: Kind, _ number: Int, _ index: Int, in path: String) throws {
        var bytes = Data()
        for word in [UInt32(0), UInt32(kind.rawValue)] {
            withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
        }
        for wide in [UInt64(number), UInt64(index), 0] {
            withUnsafeBytes(of: wide.littleEndian) { bytes.append(contentsOf: $0) }
        }
        let file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        let written = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        guard written == bytes.count else { throw CocoaError(.fileWriteUnknown) }
    }
}
