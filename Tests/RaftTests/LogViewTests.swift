import Testing

@testable import Raft

@Suite struct LogViewTests {
    /// Terms 1 1 2 2 2 4, applied through 2.
    private func log(maxCachedBytes: Int = 1000) -> LogView {
        let terms: [UInt64] = [1, 1, 2, 2, 2, 4]
        let entries = terms.enumerated().map { Entry(UInt64($0 + 1), $1, "e\($0 + 1)") }
        return LogView(
            restored: RestoredState(
                termRuns: [position(1, 1), position(3, 2), position(6, 4)], lastIndex: index(6),
                tail: Array(entries[2...]), commitIndex: index(2), appliedIndex: index(2)),
            maxCachedBytes: maxCachedBytes)
    }

    @Test func `The term of every entry is known, in memory or not`() {
        let log = log()
        #expect(log.firstCachedIndex == index(3))
        let terms = (0...7).map { log.term(at: index($0))?.rawValue }
        #expect(terms == [0, 1, 1, 2, 2, 2, 4, nil])
    }

    @Test(
        arguments: [
            (6, 4, position(6, 4)), (6, 3, position(5, 2)), (9, 9, position(6, 4)),
            (4, 2, position(4, 2)), (4, 1, position(2, 1)), (6, 0, position(0, 0)),
            (0, 7, position(0, 0)),
        ] as [(UInt64, UInt64, LogPosition)])
    func `The last position before an index and a term is found`(
        at: UInt64, term: UInt64, expected: LogPosition
    ) {
        #expect(log().lastPosition(notAfter: index(at), term: Term(term)) == expected)
    }

    @Test func `Truncation takes terms and entries back`() {
        var log = log()
        let bytes = log.unsettledBytes
        log.truncate(from: index(5))
        #expect(log.lastPosition == position(4, 2))
        #expect(log.unsettledBytes < bytes)
        log.append([Entry(5, 5, "new")])
        #expect(log.term(at: index(5)) == Term(5))
        #expect(log.entries(after: index(4), through: index(5)) == [Entry(5, 5, "new")])
    }

    @Test func `Settled entries leave the memory past its limit, oldest first`() {
        var log = log(maxCachedBytes: Entry(1, 1, "e1").size * 2)
        log.settle(through: index(6))
        #expect(log.unsettledBytes == 0)
        #expect(log.firstCachedIndex == index(5))
        #expect(log.term(at: index(3)) == Term(2))
    }

    @Test func `Unsettled entries stay in memory whatever their size`() {
        let log = log(maxCachedBytes: 0)
        #expect(log.firstCachedIndex == index(3))
    }

    @Test func `A batch holds one entry however large, and else keeps its limits`() {
        let log = log()
        let size = Entry(1, 1, "e1").size
        func count(_ bytes: Int, _ count: Int) -> Int {
            log.batch(from: index(3), maxBytes: bytes, maxCount: count).count
        }
        #expect(count(1, 9) == 1)
        #expect(count(size * 2 + 1, 9) == 2)
        #expect(count(.max, 3) == 3)
        #expect(count(.max, 9) == 4)
    }

    @Test func `After compaction the base answers for the last entry that is gone`() {
        var log = log()
        log.settle(through: index(5))
        log.compact(through: position(4, 2))
        #expect((3...6).map { log.term(at: index($0))?.rawValue } == [nil, 2, 2, 4])
        #expect(log.firstCachedIndex == index(5))
        #expect(log.lastPosition(notAfter: index(4), term: Term(1)) == nil)
        log.settle(through: index(6))
        log.compact(through: position(6, 4))
        #expect(log.lastPosition == position(6, 4))
        log.append([Entry(7, 4, "x")])
        #expect(log.term(at: index(7)) == Term(4))
    }

    @Test func `A reset log begins after its new base`() {
        var log = log()
        log.reset(to: position(20, 7))
        #expect(log.lastPosition == position(20, 7))
        #expect(log.unsettledBytes == 0)
        #expect(log.firstCachedIndex == index(21))
    }
}
