import Testing

@testable import Histories

/// What grows without end is told from what swings, settles, or was seen too seldom.
@Suite struct GrowthSeriesTests {
    private func grows(slack: Double = 0, _ value: (Double) -> Double) -> Bool {
        let values = (0..<200).map { value(Double($0) / 200) }
        return GrowthSeries("it", slack: slack, values: values).complaint != nil
    }

    @Test func `What is steady, swings, falls or settles early does not grow`() {
        #expect(!grows { _ in 100 })
        #expect(!grows { 100 + 50 * ($0 * 40).truncatingRemainder(dividingBy: 1) })
        #expect(!grows { 100 - 90 * $0 })
        #expect(!grows { $0 < 0.2 ? 500 * $0 : 100 })
        #expect(!grows { $0 > 0.98 ? 1_000 : 100 })
    }

    @Test func `A leak grows, whether steady or in steps, and also behind swings`() {
        #expect(grows { 100 + 100 * $0 })
        #expect(grows { 100 + 40 * ($0 * 5).rounded(.down) })
        #expect(grows { 100 + 300 * $0 + 20 * ($0 * 40).truncatingRemainder(dividingBy: 1) })
        #expect(grows(slack: 8) { 20 + 64 * $0 })
    }

    /// As 50 MB of a node, of which 20 leak in each hour of two.
    @Test
    func
        `A leak that keeps within the slack grows, and a cache that fills ever more slowly does not`()
    {
        #expect(grows(slack: 16) { 50 + 40 * $0 })
        #expect(
            grows(slack: 16) { 50 + 40 * $0 + 6 * ($0 * 40).truncatingRemainder(dividingBy: 1) })
        #expect(!grows(slack: 16) { 50 + 30 * $0 })
        #expect(!grows(slack: 16) { 100 - 60 / (1 + 6 * $0) })
    }

    @Test func `What stays within the slack does not grow`() {
        #expect(!grows(slack: 50) { 100 + 100 * $0 })
    }

    @Test func `Too few samples are a complaint`() {
        #expect(GrowthSeries("it", slack: 0, values: [1, 1, 1]).complaint != nil)
        #expect(GrowthSeries("it", slack: 9).complaint != nil)
    }

    @Test func `What was never anything was not measured`() {
        #expect(grows(slack: 50) { _ in 0 })
        #expect(!grows(slack: 50) { $0 < 0.9 ? 0 : 1 })
    }
}
