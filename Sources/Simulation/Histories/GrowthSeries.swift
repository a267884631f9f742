/// A quantity that was sampled at equal distances while something ran for long, and whether it grows
/// without end.
package struct GrowthSeries: Sendable {
    /// What was measured, of what.
    package let name: String
    /// By how much more than its bound it may be, in the quantity's own unit.
    package let slack: Double
    /// In the order of time.
    package var values: [Double]

    /// Fewer samples say nothing.
    package static let fewest = 8

    /// - Parameters:
    ///   - name: what was measured, of what.
    ///   - slack: by how much it may differ without growing, in the quantity's own unit.
    package init(_ name: String, slack: Double, values: [Double] = []) {
        self.name = name
        self.slack = slack
        self.values = values
    }

    /// What it was at most while it could settle, and what it is at the end.
    package var levels: (settled: Double, last: Double) {
        let count = values.count
        let settled = values[count / 4..<max(count / 4 + 1, count * 6 / 10)].max() ?? 0
        let end = values[(count - max(1, count / 4))...].sorted()
        return (settled, end[end.count / 2])
    }

    /// The medians of the second, third and last quarter of the time.
    private var medians: [Double] {
        let count = values.count
        return (1...3).map { quarter in
            let part = values[count * quarter / 4..<count * (quarter + 1) / 4].sorted()
            return part[part.count / 2]
        }
    }

    /// The first quarter is a start, in which caches fill; what was reached between then and 60 % of the
    /// time must do for the rest: the median of the last quarter may exceed it by a twentieth and the
    /// slack. So what swings does not grow, nor does one peak at the end.
    ///
    /// A leak that is small beside the slack keeps within that for a long run. It rises from quarter to quarter, and
    /// hardly less each time, where a cache fills ever more slowly: then half of the slack is enough, each time.
    /// - Returns: what is wrong; nil: it does not grow.
    package var complaint: String? {
        guard values.count >= Self.fewest else {
            return "\(name): \(values.count) samples say nothing, \(Self.fewest) are needed"
        }
        // Processes and files that are there take something.
        guard values.contains(where: { $0 > 0 }) else {
            return "\(name): 0 in each of \(values.count) samples, so it was not measured"
        }
        let (settled, last) = levels
        guard last <= settled * 1.05 + slack else {
            return
                "\(name) grows: at most \(settled) until 60 % of the time, and \(last) at its end"
        }
        let medians = medians
        let (first, second) = (medians[1] - medians[0], medians[2] - medians[1])
        let least = max(slack / 2, medians[0] * 0.02)
        guard first > least, second > least, second >= first / 2 else { return nil }
        return "\(name) grows from quarter to quarter: \(medians)"
    }
}
