import Threads

/// Threads for calls of the plugin: as the host's they have 1 MiB of stack, and unlike the host's
/// they block no signal, so that threads the plugin starts show what they block themselves.
enum CallThread {
    private static let stackBytes = 1 << 20

    /// Nobody waits for its end.
    static func start(_ body: @escaping @Sendable () -> Void) {
        do throws(ThreadShortage) {
            try NamedThread("call", stack: stackBytes, body).detach()
        } catch {
            preconditionFailure("\(error)")
        }
    }
}
