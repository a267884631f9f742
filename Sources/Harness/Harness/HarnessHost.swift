import PluginABI
import Synchronization

/// The host as the plugin sees it: takes log lines, and tells what it is.
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
                get_interface: { _, id in
                    String(
                        decoding: UnsafeRawBufferPointer(
                            start: id.data, count: Int(min(id.length, 256))), as: UTF8.self)
                        == RQD_HOST_INFO_1 ? HarnessHostInfo.shared.pointer : nil
                }))
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

/// The table of `rqd.host-info/1`, the same for all.
///
/// `@unchecked Sendable`: what the pointer leads to is constant once made.
private final class HarnessHostInfo: @unchecked Sendable {
    static let shared = HarnessHostInfo()

    let pointer: UnsafeRawPointer
    private let texts = [
        GuardedMemory(Array("disco-harness".utf8)), GuardedMemory(Array("1".utf8)),
    ]

    private init() {
        let table = rqd_host_info(
            size: UInt32(MemoryLayout<rqd_host_info>.size), abi_minor: RQD_ABI_MINOR,
            name: texts[0].text, version: texts[1].text,
            limit: { _, which in
                switch which {
                case RQD_LIMIT_VALUE: UInt64(RQD_MAX_VALUE)
                case RQD_LIMIT_ADDRESSES: UInt64(RQD_MAX_ADDRESSES)
                case RQD_LIMIT_RECORDS, RQD_LIMIT_PAGED: UInt64(RQD_MAX_RECORDS)
                case RQD_LIMIT_STACK: 1 << 20
                default: 0
                }
            })
        let memory = UnsafeMutablePointer<rqd_host_info>.allocate(capacity: 1)
        memory.initialize(to: table)
        pointer = UnsafeRawPointer(memory)
    }
}
