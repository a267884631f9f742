import Wire

/// Sets the checksums in made-up bytes right, or a fuzzer would hardly get past them.
enum Checksums {
    /// Of frames that stand one after the other from `start` on, as far as they are whole.
    static func mendFrames(_ bytes: inout [UInt8], from start: Int) {
        var place = start
        while place + 9 <= bytes.count {
            let length = Int(number(bytes, at: place))
            guard length <= bytes.count - place - 9 else { return }
            var checksum = CRC32C()
            checksum.update(bytes[place..<place + 5])
            checksum.update(bytes[place + 9..<place + 9 + length])
            set(checksum.value, at: place + 5, of: &bytes)
            place += 9 + length
        }
    }

    /// That of all before it, in the last four bytes.
    static func mendEnd(_ bytes: inout [UInt8]) {
        guard bytes.count >= 4 else { return }
        set(CRC32C(bytes[..<(bytes.count - 4)]).value, at: bytes.count - 4, of: &bytes)
    }

    static func number(_ bytes: [UInt8], at place: Int) -> UInt32 {
        bytes[place..<place + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    static func set(_ number: UInt32, at place: Int, of bytes: inout [UInt8]) {
        for byte in 0..<4 { bytes[place + byte] = UInt8(truncatingIfNeeded: number >> (8 * byte)) }
    }
}
