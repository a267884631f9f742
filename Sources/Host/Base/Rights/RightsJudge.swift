import Synchronization

/// What a judge says at once.
package enum RightsVerdict: Sendable {
    case granted
    case refused
    /// Nothing of what was shown: too many are waited for to look at one more. Who hears of it asks again.
    case noRoom

    package init(isGranted: Bool) { self = isGranted ? .granted : .refused }
}

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
    ) -> RightsVerdict?

    /// Whose credential it is, as long as the judge remembers that it was right; nil: nobody has verified it,
    /// be it that everybody may do what was asked for. Never blocks.
    func principal(of credential: Credential) -> String?
}

extension RightsJudge {
    /// Of a judge that knows no names.
    package func principal(of credential: Credential) -> String? { nil }
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
