import Testing

/// What tests make of a machine that is busy.
@Suite struct StarvationTests {
    @Test(arguments: [
        ("0.10 0.20 0.30 1/200 77", 1), ("2.00 0.20 0.30 2/200 77", 1),
        ("2.10 0.20 0.30 2/200 77", 4), ("5.00 4.00 3.00 6/200 77", 6),
        ("0.10 0.20 0.30 8/200 77", 8), ("nonsense", 4), ("", 4),
    ])
    func `A busy machine gets more time, a quiet one none`(line: String, factor: Int) {
        #expect(Starvation.factor(loadAverage: line, processors: 2) == factor)
    }

    @Test func `Time is never taken away`() {
        #expect(stretched(.seconds(1)) >= .seconds(1))
    }
}
