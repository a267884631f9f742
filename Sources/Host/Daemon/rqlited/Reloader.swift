import Glibc
import Synchronization
import Telemetry
import Threads
import Time

/// Reads files again when they change, or when the operator says so: by size, times and number of each
/// file, so that one that is replaced by an older one is noticed too, and so is one behind a link that
/// is moved. What can't be used changes nothing.
final class Reloader: Sendable {
    /// Files that are read together.
    struct Item: Sendable {
        /// For the log: `-auth`.
        var what: String
        var paths: [String]
        /// Of `paths`, from before they were read first.
        var seen: [FileStamp?] = []
        /// All or nothing; an error's text is for the operator.
        var reload: @Sendable () throws -> Void
    }

    private enum Wake: Sendable {
        case asked
        case stop
    }

    private static let period: Duration = .seconds(1)
    private static let day: Duration = .seconds(86_400)

    private let items: [Item]
    private let daily: @Sendable (Logger) -> Void
    private let logger: Logger
    private let wakes = Mailbox<Wake>()

    /// - Parameter daily: called each day, on the thread that reads.
    /// - Throws: `ThreadShortage`.
    init(
        _ items: [Item], daily: @escaping @Sendable (Logger) -> Void, logger: Logger
    ) throws {
        self.daily = daily
        self.items = items
        self.logger = logger
        guard !items.isEmpty else { return }
        try NamedThread("reload") { [self] in run() }.detach()
    }

    /// Reads all of them, changed or not.
    func reloadNow() { wakes.post(.asked) }

    func stop() { wakes.post(.stop) }

    private func run() {
        var stamps = items.map(\.seen)
        var nextDay = MonotonicTime.now + Self.day
        while true {
            let wakes = wakes.take(until: .now + Self.period)
            if wakes.contains(.stop) { return }
            if MonotonicTime.now >= nextDay {
                nextDay = .now + Self.day
                daily(logger)
            }
            for (place, item) in items.enumerated() {
                let current = FileStamp.of(item.paths)
                guard !wakes.isEmpty || current != stamps[place] else { continue }
                stamps[place] = current
                reload(item)
            }
        }
    }

    private func reload(_ item: Item) {
        do {
            try item.reload()
            logger.notice("read again", ["what": item.what])
        } catch {
            logger.error(
                "can't be read again: what was read before stays in force",
                ["what": item.what, "cause": "\(error)"])
        }
    }
}
