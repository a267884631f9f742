internal import CZlib
internal import Gzip

/// Reads a zip file as far as extensions need it: files that are stored or deflated, as its directory
/// at the end lists them. No encryption, no parts, nothing beyond 4 GiB.
///
///     end of the directory, the last 22 bytes and a comment behind them; integers little-endian
///     0   "PK\5\6"      10  2 entries      12  4 bytes of the directory    16  4 where it begins
///     entry of the directory
///     0   "PK\1\2"      8   2 flags, bit 0: encrypted      10  2 method: 0 stored, 8 deflated
///     16  4 CRC-32      20  4 bytes packed     24  4 bytes unpacked    28  2 of the name, 30 2 of
///     further attributes, 32 2 of a comment; 38  4 attributes: the upper half as of Unix
///     42  4 where its local header begins      46  name
///     local header
///     0   "PK\3\4"      26  2 of the name      28  2 of further attributes     30  name; then the bytes
struct ZipArchive {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func recognises(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: [0x50, 0x4B, 3, 4]) || bytes.starts(with: [0x50, 0x4B, 5, 6])
    }

    /// - Parameters:
    ///   - limit: bytes that may come out.
    ///   - count: how many files there may be.
    func files(atMost limit: Int, _ count: Int) throws(ArchiveFault) -> [ExtensionFolder.Item] {
        let end = try endOfDirectory()
        let entries = try number(end + 10, 2)
        var place = try number(end + 16, 4)
        var items: [ExtensionFolder.Item] = []
        var left = limit
        for _ in 0..<entries {
            guard try number(place, 4) == 0x0201_4B50 else { throw Self.damaged }
            let name = try part(place + 46, try number(place + 28, 2))
            if let name = try ArchiveFault.name(of: Array(name)), try isFile(place) {
                guard items.count < count else {
                    throw ArchiveFault("it has more than \(count) files")
                }
                let content = try self.content(place, atMost: left)
                left -= content.count
                items.append(ExtensionFolder.Item(name: name, bytes: content))
            }
            place +=
                try 46 + number(place + 28, 2) + number(place + 30, 2) + number(place + 32, 2)
        }
        return items
    }

    private static let damaged = ArchiveFault("it is no zip file, or a damaged one")

    private func part(_ place: Int, _ count: Int) throws(ArchiveFault) -> ArraySlice<UInt8> {
        guard place >= 0, count >= 0, place <= bytes.count, count <= bytes.count - place else {
            throw Self.damaged
        }
        return bytes[place..<place + count]
    }

    private func number(_ place: Int, _ count: Int) throws(ArchiveFault) -> Int {
        try part(place, count).reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    /// From behind, for a comment of up to 64 KiB may follow it.
    private func endOfDirectory() throws(ArchiveFault) -> Int {
        var place = bytes.count - 22
        let first = max(0, place - 65_535)
        while place >= first {
            if try number(place, 4) == 0x0605_4B50 { return place }
            place -= 1
        }
        throw Self.damaged
    }

    /// No link, device or the like, where the archive says so.
    private func isFile(_ place: Int) throws(ArchiveFault) -> Bool {
        let mode = try number(place + 40, 2) & 0o170000
        return mode == 0 || mode == 0o100000
    }

    private func content(_ place: Int, atMost limit: Int) throws(ArchiveFault) -> [UInt8] {
        guard try number(place + 8, 2) & 1 == 0 else { throw ArchiveFault("it is encrypted") }
        let method = try number(place + 10, 2)
        let size = try number(place + 24, 4)
        guard size <= limit else {
            throw ArchiveFault("unpacked it is larger than the limit of \(limit) bytes")
        }
        let header = try number(place + 42, 4)
        guard try number(header, 4) == 0x0403_4B50 else { throw Self.damaged }
        let start = try header + 30 + number(header + 26, 2) + number(header + 28, 2)
        let packed = Array(try part(start, try number(place + 20, 4)))
        let content: [UInt8]
        switch method {
        case 0: content = packed
        case 8: content = try Self.inflated(packed, size)
        default: throw ArchiveFault("a file in it is packed by another method than deflate")
        }
        guard content.count == size,
            Int(crc32(0, content, UInt32(content.count))) == (try number(place + 16, 4))
        else { throw Self.damaged }
        return content
    }

    /// All at once: the size is known, and within the limit.
    private static func inflated(_ packed: [UInt8], _ size: Int) throws(ArchiveFault) -> [UInt8] {
        var packed = packed
        var code = Z_OK
        // One byte more: a stream that is longer than it says doesn't end.
        let content = [UInt8](unsafeUninitializedCapacity: size + 1) { output, count in
            var stream = z_stream()
            packed.withUnsafeMutableBufferPointer { input in
                code = czlib_begin_reading_raw(&stream)
                guard code == Z_OK else { return }
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(size + 1)
                code = inflate(&stream, Z_FINISH)
                count = size + 1 - Int(stream.avail_out)
                inflateEnd(&stream)
            }
        }
        guard code == Z_STREAM_END else { throw damaged }
        return content
    }
}
