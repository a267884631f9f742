import PluginABI
import Synchronization
import Threads
import Time

/// What a plugin writes to the host's log: a bound on how much, and one line for one call.
final class PluginLog: Sendable {
    private struct Window {
        var second: UInt64 = 0
        var lines = 0
        var dropped = 0
    }

    private let write: @Sendable (PluginLogLevel, String) -> Void
    private let window = Mutex(Window())

    init(_ write: @escaping @Sendable (PluginLogLevel, String) -> Void) { self.write = write }

    /// Nil stands for a null pointer; the line counts, but there is nothing to write.
    func write(_ level: Int32, _ message: @autoclosure () -> String?) {
        guard isAllowed(), let message = message() else { return }
        let kept = String(decoding: message.utf8.prefix(Int(RQD_MAX_MESSAGE)), as: UTF8.self)
        // One call, one line: a plugin can't forge lines of others.
        let line = String(kept.map { $0.isNewline ? " " : $0 })
        write(PluginLogLevel(rawValue: level) ?? .error, line)
    }

    private func isAllowed() -> Bool {
        let second = MonotonicTime.now.nanoseconds / 1_000_000_000
        let (isAllowed, dropped) = window.withLock { window -> (Bool, Int) in
            let dropped = second == window.second ? 0 : window.dropped
            if second != window.second { window = Window(second: second) }
            window.lines += 1
            let isAllowed = window.lines <= DiscoveryLimits.logLinesPerSecond
            if !isAllowed { window.dropped += 1 }
            return (isAllowed, dropped)
        }
        if dropped > 0 { write(.warning, "\(dropped) lines of the plugin were dropped") }
        return isAllowed
    }
}
