/// What clients saw of one place that values are added to and never taken from.
package struct CollectionHistory: Sendable {
    /// How values stand in it.
    package enum Kind: Sendable {
        /// In the order in which they were added: every read must show a beginning of what is there at
        /// the end.
        case list
        /// In no order.
        case set
    }

    /// A read of all of it.
    package struct Sighting: Sendable {
        /// What was there.
        package var values: [Int]
        /// When the client asked, in microseconds since the run began.
        package var invoked: Int
        /// When it heard, in the same.
        package var returned: Int
        /// Whether the read was to see all that was acknowledged before it was asked for.
        package var isLinearizable: Bool

        /// - Parameters:
        ///   - invoked: in microseconds since the run began.
        ///   - returned: in the same.
        package init(_ values: [Int], invoked: Int, returned: Int, isLinearizable: Bool) {
            self.values = values
            self.invoked = invoked
            self.returned = returned
            self.isLinearizable = isLinearizable
        }
    }

    /// Whether values have an order.
    package let kind: Kind
    /// For the texts of violations.
    package let name: String
    /// What was added, or tried to.
    package var attempts: [Attempt] = []
    /// What was read meanwhile.
    package var sightings: [Sighting] = []
    /// What is there at the end.
    package var final: [Int] = []

    /// - Parameter name: for the texts of violations.
    package init(_ kind: Kind, name: String) {
        self.kind = kind
        self.name = name
    }

    /// What of it can't be.
    package func violations() -> [Violation] {
        let census = Census.violations(of: attempts, in: final, name: name)
        return census + (kind == .list ? violationsOfList() : violationsOfSet())
    }

    private func violationsOfList() -> [Violation] {
        var events = RankedEvent.changes(attempts, in: final)
        var violations: [Violation] = []
        for sighting in sightings {
            guard final.starts(with: sighting.values) else {
                violations.append(
                    Violation(
                        .contradiction,
                        "\(name): a read at \(sighting.invoked) saw \(sighting.values.suffix(8)) "
                            + "at its end, which no beginning of the final list has"))
                continue
            }
            guard sighting.isLinearizable else { continue }
            events.append(
                RankedEvent(
                    rank: sighting.values.count, invoked: sighting.invoked,
                    returned: sighting.returned, isChange: false))
        }
        return violations + RankedEvent.violations(events, name: name)
    }

    private func violationsOfSet() -> [Violation] {
        var violations: [Violation] = []
        var invoked: [Int: Int] = [:]
        for attempt in attempts where attempt.outcome != .refused {
            invoked[attempt.value] = attempt.invoked
        }
        let kept = Set(final)
        for sighting in sightings {
            let seen = Set(sighting.values)
            for value in seen.subtracting(kept).sorted() {
                violations.append(
                    Violation(
                        .lost,
                        "\(name): a read at \(sighting.invoked) saw \(value), which is not there at "
                            + "the end"))
            }
            if seen.count != sighting.values.count {
                violations.append(
                    Violation(.doubled, "\(name): a read at \(sighting.invoked) saw a value twice"))
            }
            for value in sighting.values where (invoked[value] ?? .max) > sighting.returned {
                violations.append(
                    Violation(
                        .contradiction,
                        "\(name): a read at \(sighting.invoked) saw \(value), which nobody had "
                            + "added then"))
            }
            guard sighting.isLinearizable else { continue }
            for value in known(before: sighting) where !seen.contains(value) {
                violations.append(
                    Violation(
                        .lost,
                        "\(name): a read at \(sighting.invoked) did not see \(value), which "
                            + "somebody knew of before"))
            }
        }
        return violations
    }

    /// What was acknowledged or seen before this read was asked for.
    private func known(before sighting: Sighting) -> [Int] {
        let added = attempts.filter {
            $0.outcome == .done && ($0.returned ?? .max) < sighting.invoked
        }
        let seen = sightings.filter { $0.isLinearizable && $0.returned < sighting.invoked }
        return Set(added.map(\.value) + seen.flatMap(\.values)).sorted()
    }
}
