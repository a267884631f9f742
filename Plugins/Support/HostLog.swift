import PluginABI

/// The host's log, for any thread. Valid as long as the instance it was made for.
package struct HostLog: Sendable {
    package enum Level: Int32 {
        case debug = 0
        case info = 1
        case warning = 2
        case error = 3
    }

    /// Unchecked, for the ABI lets any thread call what it points at.
    private struct Host: @unchecked Sendable {
        let pointer: UnsafePointer<rqd_host>
    }

    private let write: @Sendable (Level, String) -> Void

    package init(_ write: @escaping @Sendable (Level, String) -> Void) { self.write = write }

    init(_ host: UnsafePointer<rqd_host>) {
        let host = Host(pointer: host)
        write = { level, message in
            rqd_text.lend(message) {
                host.pointer.pointee.log?(host.pointer, level.rawValue, $0)
            }
        }
    }

    package func callAsFunction(_ level: Level, _ message: String) { write(level, message) }
}
