/// A resolver that tells when what it finds may have changed (`rqd.watch/1`).
///
/// `wait` may run beside `resolve`, so what both use doesn't change or is behind a lock that no IO is
/// done under; `Sendable` makes the compiler ask for it.
package protocol WatchingResolver: Resolver, Sendable {
    /// What is there now, and the token of that state (1 to `RQD_MAX_TOKEN` bytes).
    /// - Throws: as `resolve` does.
    func look(_ call: Call) throws(CallFailure) -> (found: [FoundAddress], token: [UInt8])

    /// Returns as soon as the state may differ from the token's, with the new token. Throws
    /// `RQD_TIMEOUT` when the deadline passes before that.
    func wait(token: [UInt8], _ call: Call) throws(CallFailure) -> [UInt8]?
}

extension WatchingResolver {
    package func resolve(_ call: Call) throws(CallFailure) -> [FoundAddress] {
        try look(call).found
    }
}
