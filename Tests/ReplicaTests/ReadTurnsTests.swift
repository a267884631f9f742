import Testing

@testable import Replica

/// The order in which long reads work: a value, driven with times of its own.
@Suite struct ReadTurnsTests {
    final class Someone {}

    private let start = ContinuousClock.now
    private let a = Someone()
    private let b = Someone()
    private let c = Someone()
    private let d = Someone()

    private func at(_ milliseconds: Int) -> ContinuousClock.Instant {
        start + .milliseconds(milliseconds)
    }

    private func makeTurns(places: Int) -> ReadTurns<Someone> {
        ReadTurns(places: places, length: .milliseconds(10), patience: .milliseconds(40))
    }

    @Test func `As many work at once as there are places, the others in their order`() {
        var turns = makeTurns(places: 2)
        #expect(turns.ask(a, at: at(0)) === a)
        #expect(turns.ask(b, at: at(1)) === b)
        #expect(turns.ask(c, at: at(2)) == nil)
        #expect(turns.ask(d, at: at(3)) == nil)
        #expect(turns.resting == 2)
        // Each keeps its turn until it is over, and then goes behind all that wait.
        #expect(turns.ask(a, at: at(9)) == nil)
        #expect(turns.has(a))
        #expect(turns.ask(a, at: at(10)) === c)
        #expect(turns.ask(b, at: at(11)) === d)
        #expect(!turns.has(a) && !turns.has(b))
        #expect(turns.ask(c, at: at(20)) === a)
    }

    @Test func `A turn goes on while nobody waits`() {
        var turns = makeTurns(places: 1)
        #expect(turns.ask(a, at: at(0)) === a)
        #expect(turns.ask(a, at: at(500)) == nil)
        #expect(turns.has(a))
        // What comes then waits for one turn at most.
        #expect(turns.ask(b, at: at(501)) == nil)
        #expect(turns.ask(a, at: at(509)) == nil)
        #expect(turns.ask(a, at: at(510)) === b)
    }

    @Test func `Who leaves makes room, and who waits no more is passed over`() {
        var turns = makeTurns(places: 1)
        _ = turns.ask(a, at: at(0))
        for other in [b, c, d] { #expect(turns.ask(other, at: at(1)) == nil) }
        #expect(turns.leave(b, at: at(2)) == nil)
        #expect(turns.leave(a, at: at(3)) === c)
        #expect(turns.leave(c, at: at(4)) === d)
        #expect(turns.leave(d, at: at(5)) == nil)
        #expect(turns.leave(d, at: at(6)) == nil)
        #expect(turns.resting == 0)
    }

    @Test func `Asking twice while it waits takes one place in the row`() {
        var turns = makeTurns(places: 1)
        _ = turns.ask(a, at: at(0))
        _ = turns.ask(b, at: at(1))
        _ = turns.ask(b, at: at(2))
        _ = turns.ask(c, at: at(3))
        #expect(turns.leave(a, at: at(4)) === b)
        #expect(turns.leave(b, at: at(5)) === c)
        #expect(turns.leave(c, at: at(6)) == nil)
    }

    @Test func `Who does not come back keeps nobody waiting`() {
        var turns = makeTurns(places: 2)
        _ = turns.ask(a, at: at(0))
        _ = turns.ask(b, at: at(0))
        #expect(turns.replaceLate(at: at(1000)).isEmpty, "nobody wants the places")
        #expect(turns.has(a) && turns.has(b))
        _ = turns.ask(c, at: at(1000))
        #expect(turns.replaceLate(at: at(1000)).map(ObjectIdentifier.init) == [ObjectIdentifier(c)])
        // The other's place was left to it; and the late one begins anew when it is back.
        #expect([a, b].count(where: turns.has) == 1)
        let late = turns.has(a) ? b : a
        #expect(turns.ask(late, at: at(1001)) == nil)
        #expect(turns.resting == 1)
    }

    /// As where all of the process stood still: its thread has not seen that it may work.
    @Test func `Who has not seen that its turn has come does not lose it`() {
        var turns = makeTurns(places: 1)
        _ = turns.ask(a, at: at(0))
        _ = turns.ask(b, at: at(1))
        _ = turns.ask(c, at: at(2))
        let next = turns.ask(a, at: at(10))
        #expect(next === b)
        let early = turns.replaceLate(at: at(1000))
        #expect(early.isEmpty)
        let isBegun = turns.begin(b, at: at(1001))
        #expect(isBegun)
        // It lasts from there on, and then it can be late.
        let other = turns.ask(b, at: at(1010))
        #expect(other == nil)
        let replaced = turns.replaceLate(at: at(1052))
        #expect(replaced.map(ObjectIdentifier.init) == [ObjectIdentifier(c)])
        let isAgain = turns.begin(b, at: at(1053))
        #expect(!isAgain)
    }
}
