import Chance

/// The source of `random()` and `randomblob()` while an entry is applied, started from the entry's
/// seed and the place of the autocommit unit in it. What it gives is part of what nodes must agree
/// on: it can't change without a change of the log's version.
extension SplitMix64 {
    init(seed: UInt64, unit: Int) {
        var first = SplitMix64(seed: seed)
        // Units of one entry must not continue each other's sequence: jump by a mixed step.
        self.init(seed: first.next() ^ (UInt64(unit) &* 0xD1B5_4A32_D192_ED03))
    }

    mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        var offset = 0
        while offset < buffer.count {
            let word = next().littleEndian
            withUnsafeBytes(of: word) { bytes in
                let count = min(8, buffer.count - offset)
                UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<offset + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            }
            offset += 8
        }
    }
}
