/// A small seeded generator, SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014): the same seed gives the same numbers in every run, on every machine and with
/// every version of the standard library. For pauses, simulations and tests, never for secrets or
/// IDs: whoever sees one number knows all that follow.
package struct SplitMix64: Equatable, Sendable {
    private var state: UInt64

    /// - Parameter seed: any number, zero too; seeds that lie close together give numbers that don't.
    package init(seed: UInt64) { state = seed }

    /// 64 bits, all alike likely; the sequence repeats after 2^64 of them.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 31
    }

    /// A number in 0..<`limit`; 0 without drawing where there is none. The remainder's bias is below
    /// `limit`/2^64.
    package mutating func below(_ limit: Int) -> Int {
        limit <= 0 ? 0 : Int(next() % UInt64(limit))
    }

    /// A number of the range, both ends included.
    package mutating func within(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + below(range.count)
    }

    /// True in `part` of `whole` cases; draws once.
    package mutating func chance(_ part: Int, of whole: Int) -> Bool { below(whole) < part }

    /// An element; nil, without drawing, of nothing.
    package mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[below(elements.count)]
    }
}
