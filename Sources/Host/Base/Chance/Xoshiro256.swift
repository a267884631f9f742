/// The node's source of randomness: xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom
/// number generators", 2018), whose 256 bits of state come from outside. The same bits give the same
/// run; two nodes with bits of their own never make the same ID.
package struct Xoshiro256: Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// - Parameter bits: at random from the machine's entropy, or from a seed in a simulation; not
    ///   all zero.
    package init(_ bits: (UInt64, UInt64, UInt64, UInt64)) {
        precondition(bits.0 | bits.1 | bits.2 | bits.3 != 0, "a generator of zeros")
        state = bits
    }

    /// 64 bits, all alike likely; the sequence repeats after 2^256 - 1 of them.
    package mutating func next() -> UInt64 {
        let result = Self.rotate(state.1 &* 5, 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = Self.rotate(state.3, 45)
        return result
    }

    private static func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
        (word << count) | (word >> (64 - count))
    }
}
