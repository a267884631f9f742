package import Raft

/// The machine's source of randomness: xoshiro256** (Blackman and Vigna, 2018), whose 256 bits of
/// state come from outside. The same bits give the same run.
package struct Chance: Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// - Parameter bits: at random from the machine's entropy, or from a seed in a simulation; not
    ///   all zero.
    package init(_ bits: (UInt64, UInt64, UInt64, UInt64)) {
        precondition(bits.0 | bits.1 | bits.2 | bits.3 != 0, "a generator of zeros")
        state = bits
    }

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

    package mutating func nextID() -> RandomID { RandomID(high: next(), low: next()) }

    private static func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
        (word << count) | (word >> (64 - count))
    }
}
