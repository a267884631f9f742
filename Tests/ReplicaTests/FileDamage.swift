import Chance
import Foundation

/// A file as a killed process left it.
struct KeptFile {
    /// Within the data directory.
    let name: String
    let size: Int
    /// Without the zeros at its end, which are most of a log.
    let used: Data

    init(name: String, content: Data) {
        self.name = name
        size = content.count
        used = content.prefix((content.lastIndex { $0 != 0 } ?? -1) + 1)
    }
}

/// One way to spoil one file of a data directory.
enum FileDamage: CustomStringConvertible, Sendable {
    case flip(file: String, byte: Int, bit: Int)
    case cut(file: String, count: Int)
    /// 512 bytes, as a sector that was never written.
    case zeros(file: String, start: Int)

    var file: String {
        switch self {
        case .flip(let file, _, _), .cut(let file, _), .zeros(let file, _): file
        }
    }

    var description: String {
        switch self {
        case .flip(let file, let byte, let bit): "\(file): bit \(bit) of byte \(byte) flipped"
        case .cut(let file, let count): "\(file): cut to \(count) bytes"
        case .zeros(let file, let start): "\(file): zeros from byte \(start) on"
        }
    }

    func carryOut(in directory: String) throws {
        let handle = try FileHandle(forUpdating: URL(filePath: directory + "/" + file))
        defer { try? handle.close() }
        switch self {
        case .flip(_, let byte, let bit):
            try handle.seek(toOffset: UInt64(byte))
            let present = try handle.read(upToCount: 1)?.first ?? 0
            try handle.seek(toOffset: UInt64(byte))
            try handle.write(contentsOf: [present ^ 1 << UInt8(bit)])
        case .cut(_, let count): try handle.truncate(atOffset: UInt64(count))
        case .zeros(_, let start):
            let size = try handle.seekToEnd()
            try handle.seek(toOffset: UInt64(start))
            let count = min(512, Int(size) - start)
            try handle.write(contentsOf: [UInt8](repeating: 0, count: count))
        }
    }

    /// Each byte of each header, sizes at which something ends, and places by chance.
    static func all(in files: [KeptFile], places: Int) -> [FileDamage] {
        var damages: [FileDamage] = []
        for kept in files {
            let (file, size, count) = (kept.name, kept.size, kept.used.count)
            for byte in 0..<min(headerSize(of: file), count) {
                damages.append(.flip(file: file, byte: byte, bit: byte % 8))
            }
            for cut in Set([0, 1, 99, 512, 4096, count / 2, count - 1, size - 1]).sorted()
            where (0..<size).contains(cut) {
                damages.append(.cut(file: file, count: cut))
            }
        }
        var chance = SplitMix64(seed: 1)
        for number in 0..<places {
            let (file, count) = (
                files[number % files.count].name, files[number % files.count].used.count
            )
            let byte = Int(chance.next() % UInt64(max(1, count)))
            damages.append(
                chance.next() % 8 == 0
                    ? .zeros(file: file, start: byte / 512 * 512)
                    : .flip(file: file, byte: byte, bit: Int(chance.next() % 8)))
        }
        return damages
    }

    /// Of the log: the header of the segment and that of its first batch; of SQLite's files the
    /// header and that of the first page or frame.
    private static func headerSize(of file: String) -> Int {
        if file.hasSuffix(".wal") { return 64 + 28 }
        if file.hasSuffix("-wal") { return 32 + 24 }
        return file.hasSuffix(".sqlite") ? 108 : 48
    }
}
