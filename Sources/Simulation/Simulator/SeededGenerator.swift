/// SplitMix64: the one source of chance of a simulation. The same seed gives the same history on
/// every machine.
package struct SeededGenerator: Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 31
    }

    /// A number in 0..<limit; 0 where there is none.
    package mutating func below(_ limit: Int) -> Int {
        limit <= 0 ? 0 : Int(next() % UInt64(limit))
    }

    package mutating func within(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + below(range.count)
    }

    package mutating func chance(_ part: Int, of whole: Int) -> Bool { below(whole) < part }

    /// An element, nil of nothing.
    package mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[below(elements.count)]
    }
}
