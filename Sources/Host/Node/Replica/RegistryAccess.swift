package import NodeLogic
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
