/// An operation on one register as its client saw it.
package struct RegisterOperation: Equatable, Sendable {
    /// What was done, with the value written, or seen.
    package enum Action: Equatable, Sendable {
        case write(UInt64)
        case read(UInt64)
    }

    /// What was done, with the value written, or seen.
    package var action: Action
    /// When its client asked, in simulated milliseconds.
    package var invoked: Int
    /// Nil when the client never learnt what became of it: it may take effect at any time.
    package var returned: Int?

    package init(_ action: Action, invoked: Int, returned: Int?) {
        self.action = action
        self.invoked = invoked
        self.returned = returned
    }
}

/// Decides whether a history of one register, zero at first, is linearizable: whether each
/// operation can be given a moment between its invocation and its return so that every read finds
/// what was written last. The search is Wing and Gong's with Lowe's memory of what was tried, as in
/// Porcupine.
package struct LinearizabilityChecker {
    private struct Tried: Hashable {
        var done: [UInt64]
        var value: UInt64
    }

    /// Calls and returns by time, as a doubly linked list: a place is a call of operation `n` at
    /// `2n` and its return at `2n + 1`; the head is behind the last.
    private var next: [Int]
    private var previous: [Int]
    private let operations: [RegisterOperation]
    private var head: Int { operations.count * 2 }

    /// - Returns: whether the history is linearizable.
    package static func accepts(_ history: [RegisterOperation]) -> Bool {
        let read = Set(
            history.compactMap { operation -> UInt64? in
                if case .read(let value) = operation.action { value } else { nil }
            })
        let relevant = history.filter { operation in
            guard operation.returned == nil else { return true }
            // An operation without an answer matters only where somebody saw its effect.
            if case .write(let value) = operation.action { return read.contains(value) }
            return false
        }
        var checker = LinearizabilityChecker(relevant)
        return checker.search()
    }

    private init(_ operations: [RegisterOperation]) {
        self.operations = operations
        // At equal times calls come first: what touches counts as concurrent.
        let events = operations.indices.flatMap { [2 * $0, 2 * $0 + 1] }.sorted { a, b in
            let (one, other) = (Self.time(of: a, operations), Self.time(of: b, operations))
            return (one, a % 2, a) < (other, b % 2, b)
        }
        next = Array(repeating: 0, count: operations.count * 2 + 1)
        previous = next
        var last = operations.count * 2
        for event in events {
            next[last] = event
            previous[event] = last
            last = event
        }
        next[last] = operations.count * 2
        previous[operations.count * 2] = last
    }

    private static func time(of event: Int, _ operations: [RegisterOperation]) -> Int {
        let operation = operations[event / 2]
        return event % 2 == 0 ? operation.invoked : operation.returned ?? .max
    }

    private mutating func search() -> Bool {
        var value: UInt64 = 0
        var done = [UInt64](repeating: 0, count: operations.count / 64 + 1)
        var tried: Set<Tried> = []
        var path: [(operation: Int, value: UInt64)] = []
        var place = next[head]
        while next[head] != head {
            if place == head || place % 2 == 1 {
                // Something returned that was not given its moment: the last choice was wrong.
                guard let last = path.popLast() else { return false }
                value = last.value
                done[last.operation / 64] &= ~(1 << UInt64(last.operation % 64))
                restore(last.operation)
                place = next[2 * last.operation]
                continue
            }
            let operation = place / 2
            place = next[place]
            guard let after = Self.step(value, operations[operation].action) else { continue }
            var candidate = done
            candidate[operation / 64] |= 1 << UInt64(operation % 64)
            guard tried.insert(Tried(done: candidate, value: after)).inserted else { continue }
            path.append((operation, value))
            value = after
            done = candidate
            remove(operation)
            place = next[head]
        }
        return true
    }

    private static func step(_ value: UInt64, _ action: RegisterOperation.Action) -> UInt64? {
        switch action {
        case .write(let new): new
        case .read(let seen): seen == value ? value : nil
        }
    }

    private mutating func remove(_ operation: Int) {
        for event in [2 * operation, 2 * operation + 1] {
            next[previous[event]] = next[event]
            previous[next[event]] = previous[event]
        }
    }

    private mutating func restore(_ operation: Int) {
        for event in [2 * operation + 1, 2 * operation] {
            next[previous[event]] = event
            previous[next[event]] = event
        }
    }
}
