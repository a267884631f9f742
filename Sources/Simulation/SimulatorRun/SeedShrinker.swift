/// Makes a history that fails small: less time, fewer nodes, fewer faults, as long as it fails in
/// the same way. Each attempt is a process of its own, for some histories end theirs.
struct SeedShrinker {
    private let seed: UInt64
    private var best: Invocation
    /// In which way it fails.
    private var failure: String?
    private var attempts = 0

    private static var mostAttempts: Int { 400 }
    /// Faults are at least so far apart, in milliseconds.
    private static var leastPause: Int { 50 }
    private static var seconds: Int { 15 }

    init(_ invocation: Invocation) {
        best = invocation
        best.shrinks = false
        seed = invocation.seeds.lowerBound
    }

    /// - Returns: the smallest history that was found to fail; nil: the seed does not fail.
    mutating func run() -> Invocation? {
        failure = SeedProcess.run(best, seed).failure
        guard failure != nil else { return nil }
        shorten()
        for nodes in 1..<(best.nodes ?? 6) {
            if adopt({ $0.nodes = nodes }) { break }
        }
        dropFaults()
        shorten()
        return best
    }

    private mutating func shorten() {
        let present = best.seconds ?? Self.seconds
        for seconds in [1, 2, 3, 4, 6, 8, 10, 12] where seconds < present {
            if adopt({ $0.seconds = seconds }) { return }
        }
    }

    /// Leaves out halves, then quarters and so on of what is left.
    private mutating func dropFaults() {
        if adopt({ $0.faults = [] }) { return }
        let most = (best.seconds ?? Self.seconds) * 1000 / Self.leastPause
        var left = best.faults?.sorted() ?? Array(1...most)
        var size = (left.count + 1) / 2
        while size >= 1, !left.isEmpty {
            var start = 0
            while start < left.count {
                var fewer = left
                fewer.removeSubrange(start..<min(start + size, left.count))
                if adopt({ $0.faults = Set(fewer) }) { left = fewer } else { start += size }
            }
            if size == 1 { return }
            size = (size + 1) / 2
        }
    }

    /// Keeps the change if the history still fails.
    private mutating func adopt(_ change: (inout Invocation) -> Void) -> Bool {
        var other = best
        change(&other)
        guard attempts < Self.mostAttempts, fails(other) else { return false }
        best = other
        return true
    }

    private mutating func fails(_ invocation: Invocation) -> Bool {
        attempts += 1
        return SeedProcess.run(invocation, seed).failure == failure
    }
}
