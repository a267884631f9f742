import Threads

/// Threads of the fake servers: small, without signals, and nobody waits for their end.
enum BackendThread {
    /// False when the system gives no thread.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        do throws(ThreadShortage) {
            try NamedThread(
                "fake-server", stack: BackendLimits.threadStackBytes, takesSignals: false, body
            ).detach()
            return true
        } catch {
            return false
        }
    }
}
