package import Chance

extension SplitMix64 {
    /// Between `low` and `high`, both included, in milliseconds: what keeps nodes that began to wait
    /// together from ending together.
    package mutating func pause(_ low: Int, _ high: Int) -> Duration {
        .milliseconds(within(low...high))
    }
}
