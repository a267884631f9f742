import PluginABI
import Synchronization

package enum PluginLogLevel: Int32, Sendable {
    case debug = 0
    case info = 1
    case warning = 2
    case error = 3
}

/// What an instance needs of the program around it.
package struct PluginEnvironment: Sendable {
    /// Called from any thread, a plugin's own included.
    package var log: @Sendable (PluginLogLevel, String) -> Void
    /// The wall clock as text, for status documents only.
    package var wallTime: @Sendable () -> String

    package init(
        log: @escaping @Sendable (PluginLogLevel, String) -> Void,
        wallTime: @escaping @Sendable () -> String
    ) {
        self.log = log
        self.wallTime = wallTime
    }
}

/// The host from the side of one plugin instance: the table it is given, and a bound on how much it
/// may log.
///
/// `@unchecked Sendable`: `table` points to constants; what changes is behind a lock.
final class PluginHost: @unchecked Sendable {
    private struct Window {
        var second: UInt64 = 0
        var lines = 0
        var dropped = 0
    }

    let table: UnsafeMutablePointer<rqd_host>
    private let write: @Sendable (PluginLogLevel, String) -> Void
    private let window = Mutex(Window())

    init(log: @escaping @Sendable (PluginLogLevel, String) -> Void) {
        write = log
        table = .allocate(capacity: 1)
        table.initialize(
            to: rqd_host(
                size: UInt32(MemoryLayout<rqd_host>.size), reserved: 0,
                ctx: Unmanaged.passUnretained(self).toOpaque(),
                log: { host, level, message in
                    guard let context = host?.pointee.ctx else { return }
                    Unmanaged<PluginHost>.fromOpaque(context).takeUnretainedValue()
                        .log(level, message)
                },
                get_interface: { _, _ in nil }))
    }

    deinit { table.deallocate() }

    private func log(_ level: Int32, _ message: rqd_text) {
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
        guard isAllowed, let data = message.data else { return }
        let count = Int(min(message.length, UInt64(RQD_MAX_MESSAGE)))
        let text = String(
            decoding: UnsafeRawBufferPointer(start: data, count: count), as: UTF8.self)
        // One call, one line: a plugin can't forge lines of others.
        let line = String(text.map { $0.isNewline ? " " : $0 })
        write(PluginLogLevel(rawValue: level) ?? .error, line)
    }
}
