import Testing

@testable import Histories

/// Histories that can't be are rejected, each for what is wrong with it; those that can are not.
@Suite struct BadHistoryTests {
    private func done(_ value: Int, _ invoked: Int, _ returned: Int) -> Attempt {
        Attempt(value, invoked: invoked, returned: returned, .done)
    }

    private func list(
        _ attempts: [Attempt], final: [Int], _ reads: [CollectionHistory.Sighting] = [],
        _ kind: CollectionHistory.Kind = .list
    ) -> [Violation.Kind] {
        var history = CollectionHistory(kind, name: "it")
        history.attempts = attempts
        history.final = final
        history.sightings = reads
        return history.violations().map(\.kind)
    }

    private func read(
        _ values: [Int], _ invoked: Int, _ returned: Int, isLinearizable: Bool = true
    ) -> CollectionHistory.Sighting {
        .init(values, invoked: invoked, returned: returned, isLinearizable: isLinearizable)
    }

    @Test(arguments: [CollectionHistory.Kind.list, .set])
    func `An acknowledged value that is missing is lost`(kind: CollectionHistory.Kind) {
        #expect(list([done(1, 0, 1), done(2, 2, 3)], final: [1], [], kind) == [.lost])
    }

    @Test(arguments: [CollectionHistory.Kind.list, .set])
    func `A value that is there twice is doubled`(kind: CollectionHistory.Kind) {
        #expect(list([done(1, 0, 1)], final: [1, 1], [], kind).contains(.doubled))
        let unknown = Attempt(1, invoked: 0, returned: nil, .unknown)
        #expect(list([unknown], final: [1, 1], [], kind).contains(.doubled))
    }

    @Test(arguments: [CollectionHistory.Kind.list, .set])
    func `A value that was refused and is there is a contradiction`(kind: CollectionHistory.Kind) {
        let refused = Attempt(1, invoked: 0, returned: 1, .refused)
        #expect(list([refused], final: [1], [], kind) == [.contradiction])
    }

    @Test(arguments: [CollectionHistory.Kind.list, .set])
    func `A value that nobody wrote is a contradiction`(kind: CollectionHistory.Kind) {
        #expect(list([], final: [7], [], kind) == [.contradiction])
    }

    @Test func `A list whose order is against time is a contradiction`() {
        #expect(list([done(1, 0, 1), done(2, 2, 3)], final: [2, 1]) == [.contradiction])
    }

    @Test func `A read of a list that is none of its beginnings is a contradiction at any level`() {
        let two = [done(1, 0, 9), done(2, 0, 9)]
        for isLinearizable in [true, false] {
            let torn = read([2], 10, 11, isLinearizable: isLinearizable)
            #expect(list(two, final: [1, 2], [torn]) == [.contradiction])
        }
    }

    @Test(arguments: [CollectionHistory.Kind.list, .set])
    func `A stale read is found where it was to be linearizable`(kind: CollectionHistory.Kind) {
        let stale = read([], 5, 6)
        #expect(list([done(1, 0, 1)], final: [1], [stale], kind).count == 1)
        let allowed = read([], 5, 6, isLinearizable: false)
        #expect(list([done(1, 0, 1)], final: [1], [allowed], kind).isEmpty)
    }

    @Test(arguments: [CollectionHistory.Kind.list, .set])
    func `A read that goes back behind an earlier one is found`(kind: CollectionHistory.Kind) {
        let open = Attempt(1, invoked: 0, returned: nil, .unknown)
        let reads = [read([1], 2, 3), read([], 4, 5)]
        #expect(list([open], final: [1], reads, kind).count == 1)
        let overlapping = [read([1], 2, 4), read([], 4, 5)]
        #expect(list([open], final: [1], overlapping, kind).isEmpty)
    }

    @Test(arguments: [CollectionHistory.Kind.list, .set])
    func `A read that saw what was written later is found`(kind: CollectionHistory.Kind) {
        #expect(list([done(1, 5, 6)], final: [1], [read([1], 0, 1)], kind) == [.contradiction])
    }

    @Test func `A read of a set that shows a value twice is found`() {
        let twice = read([1, 1], 2, 3)
        #expect(list([done(1, 0, 1)], final: [1], [twice], .set).contains(.doubled))
    }

    @Test(arguments: [CollectionHistory.Kind.list, .set])
    func `What somebody saw and is not there at the end is found at any level`(
        kind: CollectionHistory.Kind
    ) {
        let open = Attempt(1, invoked: 0, returned: nil, .unknown)
        for isLinearizable in [true, false] {
            let seen = read([1], 2, 3, isLinearizable: isLinearizable)
            #expect(list([open], final: [], [seen], kind).count == 1)
        }
    }

    @Test(arguments: [CollectionHistory.Kind.list, .set])
    func `What can be is accepted`(kind: CollectionHistory.Kind) {
        let attempts = [
            done(1, 0, 5), done(2, 1, 4), Attempt(3, invoked: 2, returned: nil, .unknown),
            Attempt(4, invoked: 2, returned: nil, .unknown),
            Attempt(5, invoked: 2, returned: 3, .refused),
        ]
        let reads = [read([], 0, 1), read([2], 2, 4), read([2, 1], 6, 7), read([2, 1, 4], 8, 9)]
        #expect(list(attempts, final: [2, 1, 4], reads, kind).isEmpty)
    }

    // MARK: Registers

    private func register(
        _ writes: [Attempt], _ reads: [(value: Int, invoked: Int, returned: Int)]
    ) -> Int {
        var history = RegisterHistory(name: "it")
        for write in writes { history.note(write) }
        for read in reads {
            history.noteRead(read.value, invoked: read.invoked, returned: read.returned)
        }
        return history.violations().count
    }

    @Test
    func `A register that forgets, goes back, foresees or shows what was refused is rejected`() {
        #expect(register([done(1, 0, 1)], [(0, 2, 3)]) == 1)
        #expect(register([done(1, 0, 1), done(2, 2, 3)], [(1, 4, 5)]) == 1)
        let open = Attempt(2, invoked: 0, returned: nil, .unknown)
        #expect(register([done(1, 0, 1), open], [(2, 2, 3), (1, 4, 5), (2, 6, 7)]) == 1)
        #expect(register([done(1, 4, 5)], [(1, 0, 1)]) == 1)
        let refused = Attempt(1, invoked: 0, returned: 1, .refused)
        #expect(register([refused], [(1, 2, 3)]) == 1)
    }

    @Test func `A read of a register at a lower level sees what somebody had written by then`() {
        let refused = Attempt(3, invoked: 0, returned: 1, .refused)
        func found(_ value: Int, _ returned: Int) -> Int {
            var history = RegisterHistory(name: "it")
            for write in [done(1, 0, 1), done(2, 4, 5), refused] { history.note(write) }
            history.noteGlimpse(value, returned: returned)
            return history.violations().count
        }
        // Nothing yet, an older value, and one whose write is under way.
        for (value, returned) in [(0, 9), (1, 9), (2, 4), (2, 9)] {
            #expect(found(value, returned) == 0)
        }
        // From the future, refused, and never written.
        for (value, returned) in [(2, 3), (3, 9), (7, 9)] { #expect(found(value, returned) == 1) }
    }

    @Test func `A register whose writes overlap may show either, and an open write may come late`()
    {
        let open = Attempt(3, invoked: 0, returned: nil, .unknown)
        let reads = [(0, 0, 1), (2, 4, 5), (3, 6, 7)]
        #expect(register([done(1, 0, 3), done(2, 0, 3), open], reads) == 0)
    }

    // MARK: Bank

    private func bank(
        book: [Int], balances: [Int], _ reads: [BankHistory.Sighting] = []
    ) -> [Violation.Kind] {
        var history = BankHistory(name: "it", accounts: 2)
        history.transfers = [
            .init(done(1, 0, 1), from: 0, to: 1, amount: 5),
            .init(done(2, 2, 3), from: 1, to: 0, amount: 2),
            .init(Attempt(3, invoked: 2, returned: 3, .refused), from: 1, to: 0, amount: 9),
        ]
        history.book = book
        history.balances = balances
        history.sightings = reads
        return history.violations().map(\.kind)
    }

    private func look(_ count: Int, _ balances: [Int], _ invoked: Int) -> BankHistory.Sighting {
        .init(
            count: count, balances, invoked: invoked, returned: invoked + 1, isLinearizable: true)
    }

    @Test func `A bank whose money, book or reads don't agree is rejected`() {
        // Half of a transfer.
        #expect(bank(book: [1, 2], balances: [-3, 5]) == [.contradiction])
        // A transfer that is in the accounts and not in the book.
        #expect(bank(book: [1], balances: [-3, 3]) == [.lost, .contradiction])
        // One that was refused.
        #expect(bank(book: [1, 2, 3], balances: [6, -6]) == [.contradiction])
        // Twice.
        #expect(bank(book: [1, 2, 2], balances: [-1, 1]).contains(.doubled))
        // In an order against time.
        #expect(bank(book: [2, 1], balances: [-3, 3]) == [.contradiction])
        // A read between the halves, and a stale one.
        #expect(bank(book: [1, 2], balances: [-3, 3], [look(1, [-5, 0], 4)]) == [.contradiction])
        #expect(bank(book: [1, 2], balances: [-3, 3], [look(1, [-5, 5], 4)]) == [.contradiction])
    }

    @Test func `A bank that keeps its books is accepted`() {
        let reads = [look(0, [0, 0], 0), look(1, [-5, 5], 1), look(2, [-3, 3], 4)]
        #expect(bank(book: [1, 2], balances: [-3, 3], reads).isEmpty)
    }
}
