/// How much a log line matters.
package enum LogLevel: UInt8, Sendable, Comparable, CaseIterable {
    /// For those who look for a fault; may come with every request.
    case debug
    /// The life cycle of the node.
    case info
    /// An operator did something.
    case notice
    /// Degraded, but serving.
    case warning
    /// A promise was broken.
    case error

    package static func < (left: LogLevel, right: LogLevel) -> Bool {
        left.rawValue < right.rawValue
    }

    /// What stands at the end of a line, so that those who watch for trouble can filter.
    var mark: String? {
        switch self {
        case .error: "error"
        case .warning: "warning"
        case .notice, .info, .debug: nil
        }
    }
}
