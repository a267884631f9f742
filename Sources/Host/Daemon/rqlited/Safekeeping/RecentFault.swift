import JSON
import ObjectStorage
import Synchronization
import Telemetry

/// Why the last try of a service failed, for `/status` and the log. Tries follow one another; the cause is
/// told once.
final class RecentFault: Sendable {
    private let text = Mutex<String?>(nil)
    private let logger: Logger

    init(_ logger: Logger) { self.logger = logger }

    /// Null after a try that went well.
    var json: JSONValue { text.withLock { $0 }.map { .string($0) } ?? .null }

    /// - Parameter what: what failed, for the log.
    func note(_ fault: StorageFault, _ what: StaticString) {
        let isNew = text.withLock { text in
            defer { text = fault.description }
            return text != fault.description
        }
        if isNew { logger.warning(what, ["cause": fault.description]) }
    }

    func clear() { text.withLock { $0 = nil } }
}
