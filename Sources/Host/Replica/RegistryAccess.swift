package import Registry

/// A registry as the core asks for it. Implemented over a discovery plugin.
///
/// Both calls return at once. Each calls its completion exactly once, on any thread, which it must
/// not hold up.
package protocol RegistryAccess: Sendable {
    /// - Parameter timeout: counted from now; the answer may come a little later all the same.
    func perform(
        _ request: RegistryRequest, timeout: Duration,
        completion: @escaping @Sendable (RegistryReply) -> Void)

    /// Waits until the record `leader` differs from what `token` stands for. One at a time.
    func watch(
        token: [UInt8], timeout: Duration,
        completion: @escaping @Sendable (RegistryWatchOutcome) -> Void)
}

package struct RegistryReply: Equatable, Sendable {
    package var answer: RegistryAnswer
    /// Of a read: the state that was seen, for `watch`. Empty if the registry can't be watched.
    package var token: [UInt8]

    package init(_ answer: RegistryAnswer, token: [UInt8] = []) {
        self.answer = answer
        self.token = token
    }
}

package enum RegistryWatchOutcome: Equatable, Sendable {
    /// The token is empty if none was given: the next read has one.
    case changed(token: [UInt8])
    /// Nothing changed until the time was up.
    case unchanged
    case failed
    /// This registry can't be watched.
    case unsupported
}
