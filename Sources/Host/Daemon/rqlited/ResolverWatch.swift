import Discovery

/// The wait for a change of what a resolver finds (`rqd.watch/1`), one at a time, beside the loop
/// that resolves. A plugin that gives no token, or can't wait, is asked again and again alone.
struct ResolverWatch {
    /// How a wait ended, with its number.
    typealias End = @Sendable (Int, Result<WatchOutcome, PluginError>) -> Void

    /// Longer than the loop ever rests: what ends it is a change, or the next token.
    private static let patience = Duration.seconds(120)

    private var number = 0
    private var token: [UInt8] = []
    private var call: PluginCall?
    private var isPossible = true

    /// Waits for a state other than the token's. What waits for another one is given up.
    mutating func follow(_ new: [UInt8], _ instance: PluginInstance, _ end: @escaping End) {
        guard isPossible, !new.isEmpty, call == nil || new != token else { return }
        call?.cancel()
        number += 1
        token = new
        call = instance.wait(token: new, timeout: Self.patience) { [number] in end(number, $0) }
    }

    /// The plugin may have been read again: what it could not do before it may be able to.
    mutating func renewed() { isPossible = true }

    /// Whether what the plugin finds may have changed.
    mutating func ended(_ number: Int, _ result: Result<WatchOutcome, PluginError>) -> Bool {
        guard number == self.number else { return false }
        call = nil
        switch result {
        case .success(.changed): return true
        case .success(.unchanged): return false
        case .failure(let error):
            if error.code == .unsupported { isPossible = false }
            return false
        }
    }
}
