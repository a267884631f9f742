/// SplitMix64: the one source of chance of a history. The same seed gives the same history on every
/// machine.
struct Dice: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 31
    }

    /// A number in 0..<limit; 0 where there is none.
    mutating func below(_ limit: Int) -> Int {
        limit <= 0 ? 0 : Int(next() % UInt64(limit))
    }

    mutating func chance(_ part: Int, of whole: Int) -> Bool { below(whole) < part }

    /// An element; the fallback of nothing.
    mutating func pick<Element>(_ elements: [Element], or fallback: Element) -> Element {
        elements.isEmpty ? fallback : elements[below(elements.count)]
    }

    /// One of some texts.
    mutating func pick(_ texts: String...) -> String {
        texts.isEmpty ? "" : texts[below(texts.count)]
    }
}
