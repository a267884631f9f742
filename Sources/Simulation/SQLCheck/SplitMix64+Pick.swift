import Chance

extension SplitMix64 {
    /// An element; the fallback of nothing.
    mutating func pick<Element>(_ elements: [Element], or fallback: Element) -> Element {
        pick(elements) ?? fallback
    }

    /// One of some texts.
    mutating func pick(_ texts: String...) -> String {
        texts.isEmpty ? "" : texts[below(texts.count)]
    }
}
