import Glibc

/// A shared object's file, read without loading it, independently of the host's reader: the harness
/// judges what the host would see.
///
///     file    offset  size  content                section  offset  size  content
///                  0     4  7F "ELF"                             0     4  name
///                  4     1  class; 2 = 64 bits                   4     4  type: 7 note, 11 dynamic
///                  5     1  byte order; 1 = little                           symbols
///                 16     2  type; 3 = shared object              8     8  flags; 2 = allocated
///                 18     2  machine                             24     8  offset in the file
///                 32     8  offset of the segments              32     8  size in the file
///                 40     8  offset of the sections              40     4  linked section
///                 54     2  size of a segment; 56 count
///                 58     2  size of a section; 60 count
///     segment      0     4  type; 4 = note         symbol        0     4  name
///                  8     8  offset in the file                   4     1  binding and type
///                 32     8  size in the file                     5     1  visibility
///                 48     8  alignment                            6     2  section; 0 = undefined
///                                                                8     8  value
///                                                               16     8  size
struct ELFImage {
    struct Note: Equatable {
        let name: [UInt8]
        let type: UInt32
        let descriptor: [UInt8]
        /// Of the segment it is in.
        let alignment: UInt64

        func word(at offset: Int) -> UInt32? {
            ELFImage.load(descriptor, at: offset)
        }
    }

    /// Larger ones are not looked at.
    private static let largestFile = 256 << 20

    private let bytes: [UInt8]
    let type: UInt16
    let machine: UInt16

    init(path: String) throws(Finding) {
        let expected = "a file that can be read, of up to \(Self.largestFile >> 20) MiB"
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw .failed(expected: expected, seen: "\(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            status.st_size <= Self.largestFile
        else {
            throw .failed(
                expected: expected, seen: "\(path) is no regular file, or has over that size")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                read(descriptor, $0.baseAddress.map { $0 + filled }, $0.count - filled)
            }
            if count <= 0 { break }
            filled += count
        }
        self.bytes = bytes
        guard bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]),
            let type: UInt16 = Self.load(bytes, at: 16),
            let machine: UInt16 = Self.load(bytes, at: 18)
        else {
            throw .failed(
                expected: "a 64-bit ELF file, little-endian",
                seen: "it begins with \(bytes.prefix(6).map { String($0, radix: 16) })")
        }
        self.type = type
        self.machine = machine
    }

    static var ownMachine: UInt16 {
        #if arch(x86_64)
            62
        #elseif arch(arm64)
            183
        #else
            #error("name this machine's ELF number")
        #endif
    }

    /// Notes that a segment covers, in the file's order; nil where one is malformed.
    func notes() -> [Note]? {
        var notes: [Note] = []
        for segment in table(offset: 32, entry: 54) where load(segment) as UInt32? == 4 {
            guard let offset: UInt64 = load(segment + 8), let size: UInt64 = load(segment + 32),
                let alignment: UInt64 = load(segment + 48), let part = slice(offset, size),
                let found = Self.parse(part, alignment)
            else { return nil }
            notes += found
        }
        return notes
    }

    private static func parse(_ segment: [UInt8], _ alignment: UInt64) -> [Note]? {
        let unit = alignment == 8 ? 8 : 4
        func padded(_ offset: Int) -> Int { (offset + unit - 1) / unit * unit }
        var notes: [Note] = []
        var start = 0
        while segment.count - start >= 12 {
            guard let nameSize: UInt32 = load(segment, at: start),
                let size: UInt32 = load(segment, at: start + 4),
                let type: UInt32 = load(segment, at: start + 8)
            else { return nil }
            let descriptor = padded(start + 12 + Int(nameSize))
            guard descriptor <= segment.count, Int(size) <= segment.count - descriptor else {
                return nil
            }
            notes.append(
                Note(
                    name: Array(segment[(start + 12)..<(start + 12 + Int(nameSize))]), type: type,
                    descriptor: Array(segment[descriptor..<(descriptor + Int(size))]),
                    alignment: alignment))
            start = min(padded(descriptor + Int(size)), segment.count)
        }
        return notes
    }

    /// Names that other objects can link to, sorted; without those that every linker adds.
    func exports() -> [String] {
        let own: Set<String> = ["_init", "_fini", "_edata", "_end", "__bss_start"]
        var names: [String] = []
        for section in table(offset: 40, entry: 58) where load(section + 4) as UInt32? == 11 {
            guard let offset: UInt64 = load(section + 24), let size: UInt64 = load(section + 32),
                let link: UInt32 = load(section + 40), let symbols = slice(offset, size)
            else { continue }
            let sections = table(offset: 40, entry: 58)
            guard Int(link) < sections.count,
                let start: UInt64 = load(sections[Int(link)] + 24),
                let length: UInt64 = load(sections[Int(link)] + 32),
                let texts = slice(start, length)
            else { continue }
            for symbol in stride(from: 0, to: symbols.count - 23, by: 24) {
                guard let name: UInt32 = Self.load(symbols, at: symbol),
                    let place: UInt16 = Self.load(symbols, at: symbol + 6), place != 0,
                    symbols[symbol + 4] >> 4 != 0,
                    // Neither internal nor hidden; protected ones are for others too.
                    [0, 3].contains(symbols[symbol + 5] & 3),
                    Int(name) < texts.count
                else { continue }
                names.append(
                    String(decoding: texts[Int(name)...].prefix { $0 != 0 }, as: UTF8.self))
            }
        }
        return names.filter { !own.contains($0) }.sorted()
    }

    /// Offsets of a table's entries; those outside of the file are left out.
    private func table(offset: Int, entry: Int) -> [Int] {
        guard let start: UInt64 = load(offset), let size: UInt16 = load(entry),
            let count: UInt16 = load(entry + 2), start < UInt64(bytes.count), size >= 56
        else { return [] }
        return (0..<Int(count)).map { Int(start) + $0 * Int(size) }
            .filter { $0 + Int(size) <= bytes.count }
    }

    private func slice(_ offset: UInt64, _ size: UInt64) -> [UInt8]? {
        guard offset <= UInt64(bytes.count), size <= UInt64(bytes.count) - offset else {
            return nil
        }
        return Array(bytes[Int(offset)..<Int(offset + size)])
    }

    private func load<Word: FixedWidthInteger>(_ offset: Int) -> Word? {
        Self.load(bytes, at: offset)
    }

    private static func load<Word: FixedWidthInteger>(_ bytes: [UInt8], at offset: Int) -> Word? {
        guard offset >= 0, bytes.count - offset >= MemoryLayout<Word>.size else { return nil }
        return bytes.withUnsafeBytes {
            Word(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Word.self))
        }
    }
}
