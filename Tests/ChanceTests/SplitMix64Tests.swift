import Chance
import Testing

@Suite struct SplitMix64Tests {
    /// The first numbers of the reference implementation (Vigna, 2015) for the seed 1234567.
    @Test func `The numbers are those of the reference implementation`() {
        var generator = SplitMix64(seed: 1_234_567)
        #expect(
            (0..<5).map { _ in generator.next() } == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
            ])
    }

    @Test func `Numbers lie in the range that was asked for, and reach both its ends`() {
        var generator = SplitMix64(seed: 0)
        let drawn = Set((0..<500).map { _ in generator.within(-3...4) })
        #expect(drawn == Set(-3...4))
        #expect(Set((0..<500).map { _ in generator.below(3) }) == [0, 1, 2])
        #expect(generator.within(7...7) == 7)
    }

    @Test func `Where there is nothing to choose from, nothing is drawn`() {
        var generator = SplitMix64(seed: 9)
        let before = generator
        #expect(generator.below(0) == 0)
        #expect(generator.below(-1) == 0)
        #expect(generator.pick([Int]()) == nil)
        #expect(generator == before)
    }

    @Test func `A chance of some in all comes about as often`() {
        var generator = SplitMix64(seed: 3)
        let hits = (0..<10_000).count { _ in generator.chance(25, of: 100) }
        #expect((2300...2700).contains(hits))
        #expect(!(0..<1000).contains { _ in generator.chance(0, of: 100) })
        #expect((0..<1000).allSatisfy { _ in generator.chance(100, of: 100) })
    }
}
