/// The source of `random()` and `randomblob()` while an entry is applied: SplitMix64 (Steele, Lea,
/// Flood 2014), started from the entry's seed and the place of the autocommit unit in it.
struct SeededGenerator: Equatable, Sendable {
    private var state: UInt64

    init(seed: UInt64, unit: Int) {
        state = seed
        // Units of one entry must not continue each other's sequence: jump by a mixed step.
        state = next() ^ (UInt64(unit) &* 0xD1B5_4A32_D192_ED03)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
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
