import Chance
import Testing

@Suite struct Xoshiro256Tests {
    /// The first numbers of the reference implementation (Blackman and Vigna, 2018).
    @Test func `The numbers are those of the reference implementation`() {
        var generator = Xoshiro256((1, 2, 3, 4))
        #expect(
            (0..<4).map { _ in generator.next() } == [
                11520, 0, 1_509_978_240, 1_215_971_899_390_074_240,
            ])
    }
}
