import PluginABI
import Synchronization

/// The host as the plugin sees it: takes log lines, offers no interfaces.
///
/// `@unchecked Sendable`: the struct behind `pointer` is constant once made; lines are behind a lock.
final class HarnessHost: @unchecked Sendable {
    /// Bytes after the struct's end, as a later version of the header would have them.
    private static let growth = 64
    private static let longestLog = 20_000

    let pointer: UnsafePointer<rqd_host>
    private let lines = Mutex<[LogLine]>([])

    init() {
        let size = MemoryLayout<rqd_host>.size + Self.growth
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
        memory.initializeMemory(as: UInt8.self, repeating: 0xAA, count: size)
        let host = memory.bindMemory(to: rqd_host.self, capacity: 1)
        pointer = UnsafePointer(host)
        host.initialize(
            to: rqd_host(
                size: UInt32(size), reserved: 0,
                ctx: Unmanaged.passUnretained(self).toOpaque(),
                log: { host, level, message in
                    guard let context = host?.pointee.ctx else { return }
                    Unmanaged<HarnessHost>.fromOpaque(context).takeUnretainedValue()
                        .take(level, message)
                },
                get_interface: { _, _ in nil }))
    }

    deinit { UnsafeMutableRawPointer(mutating: pointer).deallocate() }

    var log: [LogLine] { lines.withLock { $0 } }

    private func take(_ level: Int32, _ message: rqd_text) {
        let count = Int(min(message.length, UInt64(RQD_MAX_MESSAGE) + 1))
        let text = message.data.map {
            Array(UnsafeRawBufferPointer(start: $0, count: count))
        }
        lines.withLock { lines in
            guard lines.count < Self.longestLog else { return }
            lines.append(LogLine(level: level, text: text ?? []))
        }
    }
}
