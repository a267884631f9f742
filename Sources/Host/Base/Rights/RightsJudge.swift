import Synchronization

/// Decides who may do what. From any thread.
package protocol RightsJudge: Sendable {
    /// Never blocks.
    /// - Parameters:
    ///   - later: takes the verdict that is not known at once, on another thread; of requests with one
    ///     credential in the order in which they were asked.
    /// - Returns: nil when the verdict comes later.
    func judge(
        _ credential: Credential, _ need: RightsNeed, for asker: Asker,
        later: @escaping @Sendable (Bool) -> Void
    ) -> Bool?
}

/// Who waits for a verdict.
package final class Asker: Sendable {
    /// As numbers, with or without a port: guesses from one address are slowed.
    package let address: String
    private let gone = Atomic(false)

    package init(address: String) {
        self.address = address
    }

    /// The asker is not there any more: what it waits for need not be found out.
    package func leave() { gone.store(true, ordering: .relaxed) }

    /// Whether `leave` was called.
    package var isGone: Bool { gone.load(ordering: .relaxed) }
}
