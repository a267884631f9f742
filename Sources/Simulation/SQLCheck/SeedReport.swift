/// What one seed gave: nothing, or the smallest history that still shows a difference.
package struct SeedReport: Sendable {
    /// What was done; without the runs that made the history smaller.
    package let counts: HistoryCheck.Counts
    /// With the history, ready to be printed.
    package let failure: String?

    /// - Parameter entries: how long the history is.
    package init(seed: UInt64, entries: Int, restarts: Bool) {
        let history = History(seed: seed, entries: entries)
        var check = HistoryCheck(restarts: restarts)
        guard check.difference(in: history) != nil else {
            counts = check.counts
            failure = nil
            return
        }
        counts = check.counts
        func difference(_ history: History) -> String? {
            var check = HistoryCheck(restarts: restarts)
            return check.difference(in: history)
        }
        var shrinker = Shrinker(runs: 600) { difference($0) != nil }
        let smallest = shrinker.shrink(history)
        failure = """
            seed \(seed) (\(entries) entries), foreign keys \(history.foreignKeys ? "on" : "off"):
            \(difference(smallest) ?? "not every time")
            \(smallest.text)
            """
    }
}
