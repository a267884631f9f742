internal import Gzip

/// Reads a tar file as far as extensions need it: regular files with their bytes.
///
/// A file is a header of 512 bytes and its content, filled up to a multiple of 512:
///
///     offset  bytes
///     0       100   name, ends with NUL if it is shorter
///     124     12    size, octal digits; or, with the first bit set, a number in 8 bits per byte
///     148     8     sum of all bytes of the header, with blanks for these 8; octal digits
///     156     1     kind: '0', NUL, '7' a file; 'L' the name of the next file is the content; 'x' and
///                   'g' further attributes as `length name=value`; all else has no bytes of use
///     257     6     "ustar", then NUL or blank
///     345     155   what stands before the name, with a slash between, where 257 has NUL behind
///
/// A header of zeros ends it.
struct TarArchive {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func isPacked(_ bytes: [UInt8]) -> Bool { GzipReader.recognises(bytes) }

    /// - Parameter limit: bytes that may come out.
    init(unpacking packed: [UInt8], atMost limit: Int) throws(ArchiveFault) {
        var bytes: [UInt8] = []
        do throws(GzipError) {
            // Headers, and what fills content up.
            var reader = GzipReader(limit: limit + 2048 * ExtensionFolder.countLimit)
            try reader.add(packed) { (part) throws(GzipError) in bytes += part }
            try reader.end()
        } catch {
            throw ArchiveFault("\(error)")
        }
        self.bytes = bytes
    }

    /// - Parameter limit: how many there may be.
    func files(_ limit: Int) throws(ArchiveFault) -> [ExtensionFolder.Item] {
        var items: [ExtensionFolder.Item] = []
        var place = 0
        var longName: [UInt8]?
        while place + 512 <= bytes.count, bytes[place..<place + 512].contains(where: { $0 != 0 }) {
            let header = Array(bytes[place..<place + 512])
            try check(header)
            let size = try Self.size(header)
            place += 512
            guard size <= bytes.count - place else { throw ArchiveFault("it breaks off") }
            let content = bytes[place..<place + size]
            place += min((size + 511) / 512 * 512, bytes.count - place)
            switch header[156] {
            case UInt8(ascii: "0"), 0, UInt8(ascii: "7"):
                let path = longName ?? Self.path(header)
                longName = nil
                guard let name = try ArchiveFault.name(of: path) else { continue }
                guard items.count < limit else {
                    throw ArchiveFault("it has more than \(limit) files")
                }
                items.append(ExtensionFolder.Item(name: name, bytes: Array(content)))
            case UInt8(ascii: "L"): longName = Array(content.prefix { $0 != 0 })
            case UInt8(ascii: "x"): longName = Self.path(inAttributes: content) ?? longName
            default: longName = nil
            }
        }
        return items
    }

    private func check(_ header: [UInt8]) throws(ArchiveFault) {
        var sum = 8 * 0x20
        for (offset, byte) in header.enumerated() where !(148..<156).contains(offset) {
            sum += Int(byte)
        }
        guard Self.octal(header[148..<156]) == sum else {
            throw ArchiveFault("it is no tar file, or a damaged one")
        }
    }

    private static func size(_ header: [UInt8]) throws(ArchiveFault) -> Int {
        let field = header[124..<136]
        if header[124] & 0x80 != 0 {
            var size = 0
            for byte in field.dropFirst() {
                guard size < 1 << 40 else { throw ArchiveFault("a file in it is too large") }
                size = size << 8 | Int(byte)
            }
            return size
        }
        guard let size = octal(field) else { throw ArchiveFault("a size in it is no number") }
        return size
    }

    /// Digits between blanks and NULs; nil for anything else. No digits are 0.
    private static func octal(_ field: ArraySlice<UInt8>) -> Int? {
        let digits = field.drop { $0 == 0x20 }.prefix { $0 != 0 && $0 != 0x20 }
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { return nil }
            value = value << 3 | Int(digit - UInt8(ascii: "0"))
        }
        return value
    }

    private static func path(_ header: [UInt8]) -> [UInt8] {
        let name = Array(header[0..<100].prefix { $0 != 0 })
        guard header[257..<263].elementsEqual("ustar\0".utf8), header[345] != 0 else { return name }
        return Array(header[345..<500].prefix { $0 != 0 }) + [UInt8(ascii: "/")] + name
    }

    /// Of records `length name=value\n`, whose length is that of the whole record.
    private static func path(inAttributes content: ArraySlice<UInt8>) -> [UInt8]? {
        var rest = content
        while let blank = rest.firstIndex(of: 0x20),
            let length = Int(String(decoding: rest[rest.startIndex..<blank], as: UTF8.self)),
            length > blank - rest.startIndex, length <= rest.count
        {
            let record = rest[(blank + 1)..<(rest.startIndex + length)]
            if record.starts(with: "path=".utf8) { return Array(record.dropFirst(5).dropLast()) }
            rest = rest.dropFirst(length)
        }
        return nil
    }
}
