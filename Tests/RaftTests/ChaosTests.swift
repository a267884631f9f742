import Testing

/// Random histories: a failing seed is named, and gives the same history again.
@Suite struct ChaosTests {
    @Test(arguments: 0..<10)
    func `Nothing that was promised breaks under random faults`(group: Int) {
        var elections = 0
        var committed = 0
        var reads = 0
        for seed in group * 30..<(group + 1) * 30 {
            var chaos = Chaos(seed: UInt64(seed))
            chaos.run(steps: 1000)
            chaos.settle()
            chaos.checkLogMatching()
            #expect(chaos.violation == nil, "seed \(seed)")
            elections += chaos.elections
            committed += chaos.committedCount
            reads += chaos.confirmedReads
        }
        // Histories in which nothing happens prove nothing.
        #expect(elections > 60 && committed > 300 && reads > 30)
    }
}
