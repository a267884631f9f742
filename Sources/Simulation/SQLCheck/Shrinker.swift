internal import Wire

/// Makes a failing history small: drops entries, then statements, as long as it still fails.
package struct Shrinker {
    /// Runs of a history that are spent at most.
    private var runsLeft: Int
    private let fails: (History) -> Bool

    /// - Parameters:
    ///   - runs: how often a history may be run at most.
    ///   - fails: whether it still shows a difference.
    package init(runs: Int, fails: @escaping (History) -> Bool) {
        runsLeft = runs
        self.fails = fails
    }

    /// The smallest history found that fails; the given one fails.
    package mutating func shrink(_ history: History) -> History {
        var smallest = history
        var size = smallest.commands.count / 2
        while size > 0, runsLeft > 0 {
            var start = 0
            var isSmaller = false
            while start < smallest.commands.count, runsLeft > 0 {
                var shorter = smallest
                let end = min(shorter.commands.count, start + size)
                shorter.commands.removeSubrange(start..<end)
                if stillFails(shorter) {
                    smallest = shorter
                    isSmaller = true
                } else {
                    start += size
                }
            }
            if !isSmaller || size > 1 { size /= 2 }
        }
        return withoutStatements(smallest)
    }

    private mutating func withoutStatements(_ history: History) -> History {
        var smallest = history
        for place in smallest.commands.indices {
            var at = 0
            while smallest.commands[place].statements.count > 1,
                at < smallest.commands[place].statements.count
            {
                var shorter = smallest
                shorter.commands[place].statements.remove(at: at)
                if stillFails(shorter) { smallest = shorter } else { at += 1 }
            }
        }
        return smallest
    }

    private mutating func stillFails(_ history: History) -> Bool {
        guard runsLeft > 0, !history.commands.isEmpty else { return false }
        runsLeft -= 1
        return fails(history)
    }
}
