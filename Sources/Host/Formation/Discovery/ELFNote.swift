import Glibc

/// A note of an ELF file, and the reading of them: of the file alone, without loading it. Only 64-bit
/// shared objects for the machine at hand, and only what its PT_NOTE segments cover.
///
///     file    offset  size  content                    segment  offset  size  content
///                  0     4  7F "ELF"                                 0     4  type; 4 = PT_NOTE
///                  4     1  class; 2 = 64 bits                       8     8  offset in the file
///                  5     1  byte order; 1 = little                  32     8  size in the file
///                 16     2  type; 3 = shared object                 48     8  alignment
///                 18     2  machine
///                 32     8  offset of the segments    note           0     4  size of the name
///                 54     2  size of one of them                      4     4  size of the descriptor
///                 56     2  their count                              8     4  type
///                                                                   12        name, descriptor, each
///                                                                             padded to the alignment
struct ELFNote: Equatable {
    let name: String
    let type: UInt32
    let descriptor: [UInt8]

    func word(at offset: Int) -> UInt32 { descriptor.loadLittle(at: offset) }

    private static let headerSize = 64
    private static let segmentSize = 56

    private static var machine: UInt16 {
        #if arch(x86_64)
            62
        #elseif arch(arm64)
            183
        #else
            #error("name this machine's ELF number, and load integers in its byte order")
        #endif
    }

    /// All notes of an open file. Every offset and size is checked against the file before use.
    static func read(_ descriptor: Int32) throws(PluginRefusal) -> [ELFNote] {
        let header = try bytes(of: descriptor, at: 0, count: headerSize)
        guard header.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else {
            throw .malformedFile("it is not an ELF file")
        }
        guard header[4] == 2, header[5] == 1, header.loadLittle(at: 18) as UInt16 == machine else {
            throw .malformedFile("it is built for another kind of machine")
        }
        guard header.loadLittle(at: 16) as UInt16 == 3 else {
            throw .malformedFile("it is not a shared object")
        }
        let table: UInt64 = header.loadLittle(at: 32)
        let size = Int(header.loadLittle(at: 54) as UInt16)
        let count = Int(header.loadLittle(at: 56) as UInt16)
        guard size == segmentSize, count <= DiscoveryLimits.programHeaders else {
            throw .malformedFile("its segment table has \(count) entries of \(size) bytes")
        }
        let segments = try bytes(of: descriptor, at: table, count: size * count)
        var notes: [ELFNote] = []
        for index in 0..<count {
            let segment = Array(segments[(index * size)..<((index + 1) * size)])
            guard segment.loadLittle(at: 0) as UInt32 == 4 else { continue }
            let length: UInt64 = segment.loadLittle(at: 32)
            guard length <= UInt64(DiscoveryLimits.noteSegmentBytes) else {
                throw .malformedFile("it has a note segment of \(length) bytes")
            }
            let offset: UInt64 = segment.loadLittle(at: 8)
            let alignment = segment.loadLittle(at: 48) as UInt64 == 8 ? 8 : 4
            notes += try parse(
                bytes(of: descriptor, at: offset, count: Int(length)), alignment: alignment)
        }
        return notes
    }

    private static func parse(
        _ segment: [UInt8], alignment: Int
    ) throws(PluginRefusal) -> [ELFNote] {
        func padded(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }
        var notes: [ELFNote] = []
        var start = 0
        while segment.count - start >= 12 {
            let nameSize = Int(segment.loadLittle(at: start) as UInt32)
            let size = Int(segment.loadLittle(at: start + 4) as UInt32)
            let descriptor = padded(start + 12 + nameSize)
            guard nameSize <= segment.count, descriptor <= segment.count,
                size <= segment.count - descriptor
            else { throw .malformedFile("a note reaches beyond its segment") }
            let name = segment[(start + 12)..<(start + 12 + nameSize)].prefix { $0 != 0 }
            notes.append(
                ELFNote(
                    name: String(decoding: name, as: UTF8.self),
                    type: segment.loadLittle(at: start + 8),
                    descriptor: Array(segment[descriptor..<(descriptor + size)])))
            start = min(padded(descriptor + size), segment.count)
        }
        return notes
    }

    private static func bytes(
        of descriptor: Int32, at offset: UInt64, count: Int
    ) throws(PluginRefusal) -> [UInt8] {
        guard let start = off_t(exactly: offset), start <= .max - off_t(count) else {
            throw .malformedFile("it points outside of itself")
        }
        var buffer = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let result = buffer.withUnsafeMutableBytes {
                pread(
                    descriptor, $0.baseAddress.map { $0 + filled }, count - filled, start + filled)
            }
            if result < 0 {
                if errno == EINTR { continue }
                throw .unreadable(String(cString: strerror(errno)))
            }
            if result == 0 { throw .malformedFile("it is cut off") }
            filled += result
        }
        return buffer
    }
}

extension [UInt8] {
    /// The offset must lie within.
    fileprivate func loadLittle<Word: FixedWidthInteger>(at offset: Int) -> Word {
        precondition(
            offset >= 0 && count - offset >= MemoryLayout<Word>.size,
            "\(MemoryLayout<Word>.size) bytes at \(offset) of \(count)")
        return withUnsafeBytes {
            Word(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Word.self))
        }
    }
}
