import PluginABI
import Synchronization

/// How much a plugin's line matters, with the header's numbers.
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

/// The host from the side of one plugin instance: the table it is given.
///
/// `@unchecked Sendable`: `table` points to constants.
final class PluginHost: @unchecked Sendable {
    let table: UnsafeMutablePointer<rqd_host>
    private let log: PluginLog
    private let information: HostInformation

    init(version: String, log write: @escaping @Sendable (PluginLogLevel, String) -> Void) {
        log = PluginLog(write)
        information = HostInformation(version: version)
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
                get_interface: { host, id in
                    guard let context = host?.pointee.ctx else { return nil }
                    let owner = Unmanaged<PluginHost>.fromOpaque(context).takeUnretainedValue()
                    return owner.interface(id)
                }))
    }

    deinit { table.deallocate() }

    private func interface(_ id: rqd_text) -> UnsafeRawPointer? {
        ABI.text(id, limit: RQD_MAX_TEXT) == RQD_HOST_INFO_1
            ? UnsafeRawPointer(information.table) : nil
    }

    private func log(_ level: Int32, _ message: rqd_text) {
        let count = Int(min(message.length, UInt64(RQD_MAX_MESSAGE)))
        log.write(
            level,
            message.data.map {
                String(decoding: UnsafeRawBufferPointer(start: $0, count: count), as: UTF8.self)
            })
    }
}
