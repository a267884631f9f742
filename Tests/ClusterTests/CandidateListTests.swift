import Cluster
import Testing

/// What a quorum is.
@Suite struct CandidateListTests {
    private func attendance(_ seats: [(Int, Int)]) -> Attendance {
        var attendance = Attendance()
        for (node, place) in seats { attendance.seat(incarnation(node), at: address(place)) }
        return attendance
    }

    @Test(arguments: [
        (1, 1, 1), (1, 3, 3), (3, 3, 3), (3, 4, 3), (3, 5, 3), (3, 6, 4), (3, 7, 5), (5, 5, 5),
        (5, 9, 5), (5, 10, 6), (3, 2, 3),
    ])
    func `A quorum is the larger of N and K - N + 1`(expect: Int, count: Int, quorum: Int) {
        #expect(CandidateList.quorum(expect: expect, count: count) == quorum)
    }

    @Test func `Two quorums meet, also when one list has one entry more`() {
        for expect in 1...9 {
            for count in expect...20 {
                let quorum = CandidateList.quorum(expect: expect, count: count)
                let next = CandidateList.quorum(expect: expect, count: count + 1)
                #expect(2 * quorum > count)
                #expect(quorum + next > count + 1)
                #expect(quorum + expect > count)
            }
        }
    }

    @Test func `One incarnation at several addresses is one acceptor`() {
        let six = CandidateList(
            expect: 3, entries: (1...6).map { .init(address: address($0), incarnation: nil) })
        let two = six.tally(attendance([(1, 1), (1, 2), (2, 3), (2, 4)]))
        #expect(two == .init(present: 2, needed: 3))
        let all = six.tally(attendance([(1, 1), (1, 2), (2, 3), (2, 4), (3, 5)]))
        #expect(all == .init(present: 3, needed: 3))
    }

    @Test func `Addresses nobody answered at count as nodes of their own`() {
        let six = CandidateList(
            expect: 3, entries: (1...6).map { .init(address: address($0), incarnation: nil) })
        #expect(
            six.tally(attendance([(1, 1), (2, 3), (3, 5)])) == .init(present: 3, needed: 4))
    }

    @Test func `An address stands for one acceptor, the first that answered`() {
        let three = list([1, 2, 3])
        let seats = attendance([(1, 1), (2, 2), (9, 2)])
        #expect(seats == attendance([(1, 1), (2, 2)]))
        #expect(three.tally(seats).present == 2)
    }

    @Test func `A node that moved still stands for the address it was recorded at`() {
        #expect(list([1, 2, 3]).tally(attendance([(1, 1), (2, 2), (3, 7)])).isQuorum)
        let unknown = CandidateList(
            expect: 3, entries: (1...3).map { .init(address: address($0), incarnation: nil) })
        #expect(!unknown.tally(attendance([(1, 1), (2, 2), (3, 7)])).isQuorum)
    }

    @Test func `Only the acceptors asked for are counted, but all show which addresses are one`() {
        let four = CandidateList(
            expect: 2, entries: (1...4).map { .init(address: address($0), incarnation: nil) })
        let seats = attendance([(1, 1), (1, 2), (2, 3), (3, 4)])
        #expect(
            four.tally(seats, counting: [incarnation(2), incarnation(3)])
                == .init(present: 2, needed: 2))
    }
}
