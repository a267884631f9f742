import Wire

/// What was found behind the last intact batch of the log and is cut off.
package struct TornTail: Equatable, Sendable, CustomStringConvertible {
    /// The segment's path.
    package let file: String
    /// Where the first bad batch begins: the log ends there.
    package let offset: Int
    /// Up to the last byte that is not zero.
    package let count: Int
    /// No power was lost since it was written, so it should be whole or lack its end, but it does
    /// not: something damaged it.
    package let isDamage: Bool

    package var description: String {
        """
        cut \(count) bytes at byte \(offset) of \(file): \
        \(isDamage
            ? "damaged though the machine did not restart; the node catches up before it votes"
            : "a write that never finished")
        """
    }
}

/// Tells a torn tail from corruption.
struct TailInspection<File: DiskFile> {
    let file: File
    let path: String
    let header: SegmentHeader
    let size: Int

    private static var chunk: Int { 256 << 10 }

    /// What stands where no intact batch follows; nil when only zeros do: the normal end.
    /// - Parameter sameBoot: the machine did not restart since the log was last opened.
    func inspect(from offset: Int, next: BatchHeader?, sameBoot: Bool) throws(LogError)
        -> TornTail?
    {
        guard let last = try lastNonZeroByte(from: offset) else { return nil }
        if let proof = try headerProving(offset, upTo: last) {
            throw .corrupt(
                file: path, offset: offset,
                reason: """
                    no intact batch there, but the one at byte \(proof.offset) was written when \
                    \(proof.durableSize) bytes were durable
                    """)
        }
        let end = next?.end ?? offset + BatchHeader.size
        return TornTail(
            file: path, offset: offset, count: last + 1 - offset,
            isDamage: sameBoot && last >= end - 1)
    }

    private func lastNonZeroByte(from start: Int) throws(LogError) -> Int? {
        var end = size
        while end > start {
            let begin = max(start, end - Self.chunk)
            let bytes = try read(end - begin, at: begin)
            if let place = bytes.lastIndex(where: { $0 != 0 }) { return begin + place }
            end = begin
        }
        return nil
    }

    /// A header behind `offset` that was written when `offset` was durable already.
    private func headerProving(_ offset: Int, upTo last: Int) throws(LogError) -> BatchHeader? {
        let unit = BatchHeader.alignment
        var begin = (offset / unit + 1) * unit
        while begin <= last {
            let count = min(Self.chunk, size - begin)
            let bytes = try read(count, at: begin)
            for position in stride(from: 0, to: bytes.count, by: unit) {
                guard
                    let header = BatchHeader(
                        at: position, of: bytes, offset: begin + position, salt: header.salt),
                    header.durableSize > offset
                else { continue }
                return header
            }
            guard count == Self.chunk else { return nil }
            // A header that the end of this chunk cut in two is whole in the next one.
            begin += count - BatchHeader.size / unit * unit
        }
        return nil
    }

    private func read(_ count: Int, at offset: Int) throws(LogError) -> [UInt8] {
        do throws(DiskError) {
            return try file.read(count, at: offset)
        } catch {
            throw LogError(error)
        }
    }
}
