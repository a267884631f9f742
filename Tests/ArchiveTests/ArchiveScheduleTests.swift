import Raft
import Testing
import Time

@testable import Archive

struct ArchiveScheduleTests {
    private static let base = ArchiveChainTests.base
    private var schedule = ArchiveSchedule(
        interval: .seconds(10), fullInterval: .seconds(100))

    private func at(_ seconds: Int) -> MonotonicTime { .zero + .seconds(seconds) }

    private mutating func step(
        _ seconds: Int, leads: UInt64? = 1, index: UInt64 = 20
    ) -> ArchiveSchedule.Step {
        schedule.step(at: at(seconds), leadership: leads, index: LogIndex(index))
    }

    private static func end(_ index: UInt64, pieces: Int = 1) -> ArchiveEnd {
        var end = ArchiveEnd(of: base)
        end.position.index = LogIndex(index)
        end.pieces = pieces
        return end
    }

    @Test mutating func `Who doesn't lead does nothing`() {
        #expect(step(0, leads: nil) == .rest(until: at(1)))
    }

    @Test mutating func `A leader looks first, and begins with a base where there is nothing`() {
        #expect(step(0) == .survey)
        schedule.surveyed(nil, age: .zero, at: at(0))
        #expect(step(0) == .base(behind: nil, mustProve: true))
        schedule.begun(Self.base, at: at(1))
        #expect(step(2) == .rest(until: at(3)))
        #expect(step(11) == .piece(behind: ArchiveEnd(of: Self.base), mustProve: false))
        schedule.shipped(Self.end(20), isBehind: false, at: at(11))
        // Nothing is new.
        #expect(step(21) == .rest(until: at(22)))
        #expect(schedule.isComplete(at: LogIndex(20)) && !schedule.isComplete(at: LogIndex(21)))
        #expect(step(31, index: 21) == .piece(behind: Self.end(20), mustProve: false))
        schedule.shipped(Self.end(21), isBehind: true, at: at(31))
        #expect(step(31, index: 40) == .piece(behind: Self.end(21), mustProve: false))
    }

    @Test mutating func `A new leader proves that it follows, or begins anew`() {
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(50), at: at(0))
        #expect(step(0) == .piece(behind: Self.end(15), mustProve: true))
        schedule.broke()
        #expect(step(0) == .base(behind: nil, mustProve: true))
        // Another leadership knows nothing of it.
        #expect(step(1, leads: 2) == .survey)
        schedule.surveyed(Self.end(21), age: .zero, at: at(1))
        // The archive has more than this log.
        #expect(step(1, leads: 2, index: 20) == .base(behind: nil, mustProve: true))
    }

    @Test mutating func `A leader need not prove that it follows its own base, another one must`() {
        #expect(step(0) == .survey)
        schedule.surveyed(nil, age: .zero, at: at(0))
        schedule.begun(Self.base, at: at(0))
        schedule.failed(at: at(10))
        #expect(step(11) == .survey)
        let end = ArchiveEnd(of: Self.base)
        schedule.surveyed(end, age: .zero, at: at(11))
        #expect(step(11) == .piece(behind: end, mustProve: false))
        // Somebody else went on behind it.
        schedule.failed(at: at(11))
        #expect(step(13) == .survey)
        schedule.surveyed(Self.end(15), age: .zero, at: at(13))
        #expect(step(13) == .piece(behind: Self.end(15), mustProve: true))
        #expect(step(14, leads: 2) == .survey)
        schedule.surveyed(end, age: .zero, at: at(14))
        #expect(step(14, leads: 2) == .piece(behind: end, mustProve: true))
    }

    @Test mutating func `A base that is old, or has very many pieces, is followed by another`() {
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(90), at: at(0))
        #expect(step(9) == .piece(behind: Self.end(15), mustProve: true))
        #expect(step(10) == .base(behind: Self.end(15), mustProve: true))
        schedule.begun(Self.base, at: at(10))
        schedule.shipped(Self.end(15, pieces: 50_000), isBehind: true, at: at(20))
        #expect(step(20) == .base(behind: Self.end(15, pieces: 50_000), mustProve: false))
    }

    @Test mutating func `A base whose time is still to come gets no younger by each look at it`() {
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(-500), at: at(0))
        #expect(step(60, leads: 2) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(-440), at: at(60))
        #expect(step(99, leads: 2) == .piece(behind: Self.end(15), mustProve: true))
        #expect(step(100, leads: 2) == .base(behind: Self.end(15), mustProve: true))
    }

    @Test mutating func `After a failure the end is looked for anew, ever later`() {
        #expect(step(0) == .survey)
        schedule.failed(at: at(0))
        #expect(step(0) == .rest(until: at(1)))
        #expect(step(1) == .survey)
        #expect(!schedule.isComplete(at: LogIndex(15)))
        schedule.surveyed(Self.end(15), age: .zero, at: at(1))
        #expect(schedule.isComplete(at: LogIndex(15)))
        schedule.failed(at: at(1))
        #expect(step(2) == .rest(until: at(3)))
        #expect(step(3) == .survey)
        for _ in 0..<20 { schedule.failed(at: at(3)) }
        #expect(step(302) == .rest(until: at(303)))
        #expect(step(303) == .survey)
    }

    @Test mutating func `What other logs may not hold does not wait for the interval`() {
        schedule = ArchiveSchedule(
            interval: .seconds(10), fullInterval: .seconds(100), mostBehind: 5)
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .zero, at: at(0))
        #expect(step(0) == .piece(behind: Self.end(15), mustProve: true))
        schedule.shipped(Self.end(20), isBehind: false, at: at(0))
        #expect(step(1, index: 24) == .rest(until: at(2)))
        #expect(step(1, index: 25) == .piece(behind: Self.end(20), mustProve: false))
        // A pause behind a failure is kept.
        schedule.failed(at: at(1))
        #expect(step(1, index: 90) == .rest(until: at(2)))
    }

    @Test
    mutating func `A base for which it is no time is tried again, and pieces go on meanwhile`() {
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(100), at: at(0))
        #expect(step(0, index: 15) == .base(behind: Self.end(15), mustProve: true))
        schedule.postponed(at: at(0))
        #expect(step(0, index: 15) == .rest(until: at(1)))
        #expect(step(10, index: 18) == .base(behind: Self.end(15), mustProve: true))
        schedule.shipped(Self.end(18), isBehind: false, at: at(10))
        #expect(step(11, index: 18) == .rest(until: at(12)))
        #expect(step(20, index: 18) == .base(behind: Self.end(18), mustProve: false))
    }

    @Test mutating func `A base that failed is tried again ever later, and pieces go on`() {
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(100), at: at(0))
        #expect(step(0) == .base(behind: Self.end(15), mustProve: true))
        schedule.baseFailed(at: at(0))
        #expect(step(0) == .piece(behind: Self.end(15), mustProve: true))
        #expect(step(1) == .base(behind: Self.end(15), mustProve: true))
        schedule.baseFailed(at: at(1))
        #expect(step(2) == .piece(behind: Self.end(15), mustProve: true))
        #expect(step(3) == .base(behind: Self.end(15), mustProve: true))
        // Each try copies the whole database.
        for _ in 0..<20 { schedule.baseFailed(at: at(3)) }
        #expect(step(3602) == .piece(behind: Self.end(15), mustProve: true))
        #expect(step(3603) == .base(behind: Self.end(15), mustProve: true))
    }

    @Test mutating func `A base that failed after a long time is not tried again for as long`() {
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(100), at: at(0))
        #expect(step(0) == .base(behind: Self.end(15), mustProve: true))
        #expect(step(500) == .base(behind: Self.end(15), mustProve: true))
        schedule.baseFailed(at: at(900))
        #expect(step(1799) == .piece(behind: Self.end(15), mustProve: true))
        #expect(step(1800) == .base(behind: Self.end(15), mustProve: true))
        // The same of a first one, for which all waits.
        schedule.broke()
        #expect(step(2000) == .base(behind: nil, mustProve: true))
        schedule.baseFailed(at: at(12_000))
        #expect(step(15_599) == .rest(until: at(15_600)))
        #expect(step(15_600) == .survey)
    }

    @Test
    mutating func `Pieces follow a base that took its time, if the log holds what comes behind it`()
    {
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(100), at: at(0))
        // Also where nothing went there since somebody looked.
        schedule.begun(Self.base, isFollowed: false, at: at(0))
        #expect(step(0) == .piece(behind: Self.end(15), mustProve: true))
        schedule.shipped(Self.end(18), isBehind: true, at: at(0))
        schedule.begun(Self.base, isFollowed: false, at: at(1))
        #expect(step(1) == .piece(behind: Self.end(18), mustProve: false))
        schedule.begun(Self.base, at: at(2))
        // What went behind the one before, too.
        #expect(step(2) == .piece(behind: ArchiveEnd(of: Self.base), mustProve: false))
    }

    @Test
    mutating func `Where the log breaks behind a new base pieces go on behind the one before`() {
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(100), at: at(0))
        schedule.shipped(Self.end(18), isBehind: true, at: at(0))
        schedule.begun(Self.base, at: at(1))
        #expect(schedule.needs(at: LogIndex(20)) == LogIndex(17))
        #expect(schedule.wishes == LogIndex(9))
        schedule.broke()
        #expect(step(1) == .piece(behind: Self.end(18), mustProve: false))
        #expect(schedule.wishes == nil)
        // What leads as far needs no other.
        schedule.begun(Self.base, at: at(2))
        schedule.shipped(Self.end(19), isBehind: true, at: at(2))
        #expect(schedule.wishes == nil)
        #expect(schedule.needs(at: LogIndex(20)) == LogIndex(18))
        schedule.broke()
        #expect(step(2) == .base(behind: nil, mustProve: true))
    }

    @Test
    mutating func
        `A base that is there makes no other due where pieces lead farther behind the one before`()
    {
        var own = Self.base
        own.position.index = LogIndex(17)
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(100), at: at(0))
        schedule.shipped(Self.end(18), isBehind: true, at: at(0))
        schedule.begun(own, at: at(1))
        schedule.failed(at: at(1))
        #expect(schedule.needs(at: LogIndex(20)) == LogIndex(17))
        #expect(step(2) == .survey)
        schedule.surveyed(Self.end(18), age: .seconds(102), at: at(2))
        #expect(step(2) == .piece(behind: Self.end(18), mustProve: true))
        #expect(step(101) == .base(behind: Self.end(18), mustProve: true))
        // Very many pieces that can't go behind it make none due at once either.
        let many = Self.end(19, pieces: 50_000)
        schedule.shipped(many, isBehind: true, at: at(101))
        schedule.begun(own, isFollowed: false, at: at(102))
        #expect(step(102) == .piece(behind: many, mustProve: false))
        #expect(step(202) == .base(behind: many, mustProve: false))
    }

    @Test mutating func `What follows a first base goes there while that is on its way`() {
        schedule = ArchiveSchedule(
            interval: .seconds(10), fullInterval: .seconds(100), mostBehind: 9)
        #expect(step(0) == .survey)
        schedule.surveyed(nil, age: .zero, at: at(0))
        #expect(step(0) == .base(behind: nil, mustProve: true))
        schedule.sends(Self.base, at: at(1))
        #expect(schedule.pieceAhead(at: at(10), index: LogIndex(18))?.through == nil)
        // Not later than others may go on from there.
        #expect(schedule.pieceAhead(at: at(10), index: LogIndex(19))?.through == LogIndex(19))
        let first = schedule.pieceAhead(at: at(11), index: LogIndex(18))
        #expect(first?.behind == ArchiveEnd(of: Self.base))
        #expect(first?.through == LogIndex(18))
        schedule.shippedAhead(Self.end(18), isBehind: false, at: at(11))
        #expect(schedule.pieceAhead(at: at(30), index: LogIndex(18))?.through == nil)
        // A pause behind a failure is kept, and no look finds a base yet.
        schedule.failed(at: at(30))
        #expect(schedule.pieceAhead(at: at(30), index: LogIndex(40))?.through == nil)
        #expect(step(31) == .survey)
        schedule.surveyed(nil, age: .zero, at: at(31))
        #expect(schedule.pieceAhead(at: at(31), index: LogIndex(20))?.behind == Self.end(18))
        schedule.begun(Self.base, at: at(40))
        #expect(schedule.ahead == nil)
        #expect(step(50) == .piece(behind: Self.end(18), mustProve: false))
    }

    @Test
    mutating func `Behind a base on its way nothing leads farther than behind the one before`() {
        #expect(step(0) == .survey)
        schedule.surveyed(Self.end(15), age: .seconds(100), at: at(0))
        schedule.shipped(Self.end(17), isBehind: true, at: at(0))
        schedule.sends(Self.base, at: at(0))
        // That one goes first.
        #expect(schedule.pieceAhead(at: at(10), index: LogIndex(20))?.through == nil)
        schedule.shipped(Self.end(18), isBehind: false, at: at(10))
        #expect(schedule.pieceAhead(at: at(10), index: LogIndex(20))?.through == LogIndex(18))
        schedule.shippedAhead(Self.end(18), isBehind: false, at: at(10))
        #expect(schedule.pieceAhead(at: at(20), index: LogIndex(20))?.through == nil)
        schedule.begun(Self.base, at: at(21))
        // It leads as far: nothing is to go there once more.
        #expect(schedule.wishes == nil)
        #expect(step(21) == .piece(behind: Self.end(18), mustProve: false))
        // One that failed, and that of another leadership, are forgotten.
        schedule.sends(Self.base, at: at(22))
        schedule.forgetAhead()
        #expect(schedule.pieceAhead(at: at(40), index: LogIndex(20))?.through == nil)
        schedule.sends(Self.base, at: at(40))
        #expect(step(41, leads: 2) == .survey)
        #expect(schedule.ahead == nil)
    }

    @Test mutating func `The log must hold what follows the end, and the entry there`() {
        #expect(step(0) == .survey)
        #expect(schedule.needs(at: LogIndex(20)) == .zero)
        schedule.surveyed(Self.end(15), age: .zero, at: at(0))
        #expect(schedule.needs(at: LogIndex(20)) == LogIndex(14))
        schedule.failed(at: at(0))
        #expect(schedule.needs(at: LogIndex(20)) == LogIndex(14))
        #expect(step(1) == .survey)
        schedule.surveyed(nil, age: .zero, at: at(1))
        // A base holds all that is applied.
        #expect(schedule.needs(at: LogIndex(20)) == LogIndex(19))
        #expect(step(2, leads: 2) == .survey)
        #expect(schedule.needs(at: LogIndex(20)) == .zero)
    }
}
