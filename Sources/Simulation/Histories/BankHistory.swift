/// What clients saw of a bank whose accounts begin at zero: each transfer takes from one account, gives
/// to another, and stands in a book, in one transaction.
package struct BankHistory: Sendable {
    /// One transfer, known by the value of its attempt.
    package struct Transfer: Sendable {
        /// What the client was told.
        package var attempt: Attempt
        /// The account it takes from, from 0.
        package var from: Int
        /// The account it gives to, from 0.
        package var to: Int
        /// How much.
        package var amount: Int

        /// - Parameters:
        ///   - from: an account, from 0.
        ///   - to: an account, from 0.
        package init(_ attempt: Attempt, from: Int, to: Int, amount: Int) {
            self.attempt = attempt
            self.from = from
            self.to = to
            self.amount = amount
        }
    }

    /// A read of book and accounts in one statement.
    package struct Sighting: Sendable {
        /// How many transfers stood in the book.
        package var count: Int
        /// What each account had.
        package var balances: [Int]
        /// When the client asked, in microseconds since the run began.
        package var invoked: Int
        /// When it heard, in the same.
        package var returned: Int
        /// Whether the read was to see all that was acknowledged before it was asked for.
        package var isLinearizable: Bool

        /// - Parameters:
        ///   - count: of transfers in the book.
        ///   - invoked: in microseconds since the run began.
        ///   - returned: in the same.
        package init(
            count: Int, _ balances: [Int], invoked: Int, returned: Int, isLinearizable: Bool
        ) {
            self.count = count
            self.balances = balances
            self.invoked = invoked
            self.returned = returned
            self.isLinearizable = isLinearizable
        }
    }

    /// For the texts of violations.
    package let name: String
    /// How many accounts there are.
    package let accounts: Int
    /// What was tried.
    package var transfers: [Transfer] = []
    /// What was read meanwhile.
    package var sightings: [Sighting] = []
    /// The book at the end, in its order.
    package var book: [Int] = []
    /// What each account has at the end.
    package var balances: [Int]

    /// - Parameters:
    ///   - name: for the texts of violations.
    ///   - accounts: how many there are.
    package init(name: String, accounts: Int) {
        self.name = name
        self.accounts = accounts
        balances = Array(repeating: 0, count: accounts)
    }

    /// What of it can't be.
    package func violations() -> [Violation] {
        var violations = Census.violations(
            of: transfers.map(\.attempt), in: book, name: "the book of \(name)")
        let states = states()
        if states.last != balances {
            violations.append(
                Violation(
                    .contradiction,
                    "\(name): accounts hold \(balances), and by the book \(states.last ?? [])"))
        }
        var events: [RankedEvent] = []
        for sighting in sightings {
            guard sighting.count < states.count, states[sighting.count] == sighting.balances else {
                violations.append(
                    Violation(
                        .contradiction,
                        "\(name): a read at \(sighting.invoked) saw \(sighting.balances) behind "
                            + "\(sighting.count) transfers, sum "
                            + "\(sighting.balances.reduce(0, +))"))
                continue
            }
            guard sighting.isLinearizable else { continue }
            events.append(
                RankedEvent(
                    rank: sighting.count, invoked: sighting.invoked, returned: sighting.returned,
                    isChange: false))
        }
        events += RankedEvent.changes(transfers.map(\.attempt), in: book)
        return violations + RankedEvent.violations(events, name: name)
    }

    /// The balances after none, one, two, … of the transfers in the book.
    private func states() -> [[Int]] {
        let known = transfers.reduce(into: [Int: Transfer]()) { $0[$1.attempt.value] = $1 }
        var now = Array(repeating: 0, count: accounts)
        var states = [now]
        for value in book {
            if let transfer = known[value], now.indices.contains(transfer.from),
                now.indices.contains(transfer.to)
            {
                now[transfer.from] -= transfer.amount
                now[transfer.to] += transfer.amount
            }
            states.append(now)
        }
        return states
    }
}
