import Synchronization

/// Decides who may do what. From any thread.
package protocol RightsJudge: Sendable {
    /// Never blocks.
    /// - Parameters:
    ///   - later: takes the verdict that is not known at once, on another thread; of requests with one
    ///     credential in the order in which they were asked.
    /// - Returns: nil when the verdict comes later. False also where too many are waited for to look at one more, which
    ///   the asker is told (`Asker.noteShortage`).
    func judge(
        _ credential: Credential, _ need: RightsNeed, for asker: Asker,
        later: @escaping @Sendable (Bool) -> Void
    ) -> Bool?

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
    private let isShort = Atomic(false)

    package init(address: String) {
        self.address = address
    }

    /// The asker is not there any more: what it waits for need not be found out.
    package func leave() { gone.store(true, ordering: .relaxed) }

    /// Whether `leave` was called.
    package var isGone: Bool { gone.load(ordering: .relaxed) }

    /// The verdict that is given in this call says nothing of what was shown: there was no room to look at it.
    package func noteShortage() { isShort.store(true, ordering: .relaxed) }

    /// Whether `noteShortage` was called; to be asked behind each verdict of false that is given at once, where the
    /// verdict was asked for.
    package func takeShortage() -> Bool { isShort.exchange(false, ordering: .relaxed) }
}
