import PluginABI

/// The host's log. Valid as long as the instance it was made for.
package struct HostLog {
    package enum Level: Int32 {
        case debug = 0
        case info = 1
        case warning = 2
        case error = 3
    }

    private let write: (Level, String) -> Void

    package init(_ write: @escaping (Level, String) -> Void) { self.write = write }

    init(_ host: UnsafePointer<rqd_host>) {
        write = { level, message in
            rqd_text.lend(message) { host.pointee.log?(host, level.rawValue, $0) }
        }
    }

    package func callAsFunction(_ level: Level, _ message: String) { write(level, message) }
}
