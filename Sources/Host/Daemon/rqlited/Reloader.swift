import Glibc
import Synchronization
import Telemetry
import Threads
import Time

/// Reads files again when they change, or when the operator says so: by size, times and number of each
/// file, so that one that is replaced by an older one is noticed too, and so is one behind a link that
/// is moved. What can't be used changes nothing; it is tried again, for the cause may pass without a change
/// of the file: no descriptor, a file server that is away.
final class Reloader: Sendable {
    /// Files that are read together.
    struct Item: Sendable {
        /// For the log: `-auth`.
        var what: String
        var paths: [String]
        /// Of `paths`, from before they were read first.
        var seen: [FileStamp?] = []
        /// All or nothing, unless the error says what was read; its text is for the operator.
        var reload: @Sendable () throws -> Void
    }

    /// How far it came with an item.
    private struct Progress {
        var seen: [FileStamp?]
        /// Why it could not be read last.
        var cause: String?
        var nextAttempt = MonotonicTime.zero

        /// A pipe gives what is in it to one reader.
        var mayTryAgain: Bool {
            cause != nil && !seen.isEmpty && seen.allSatisfy { $0?.isRegular ?? true }
                && nextAttempt <= .now
        }
    }

    private enum Wake: Sendable {
        case asked
        case stop
    }

    private static let period: Duration = .seconds(1)
    /// Between two attempts at files that can't be read.
    private static let pause: Duration = .seconds(5)
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
        var progress = items.map { Progress(seen: $0.seen) }
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
                let isAsked = !wakes.isEmpty || current != progress[place].seen
                guard isAsked || progress[place].mayTryAgain else { continue }
                progress[place].seen = current
                progress[place].cause = reload(
                    item, said: isAsked ? nil : progress[place].cause)
                progress[place].nextAttempt = .now + Self.pause
            }
        }
    }

    /// - Parameter said: the cause that the log has already.
    /// - Returns: why it could not be read; nil: it was.
    private func reload(_ item: Item, said: String?) -> String? {
        do {
            try item.reload()
            logger.notice("read again", ["what": item.what])
            return nil
        } catch {
            let cause = "\(error)"
            if cause != said {
                logger.error(
                    "can't be read again: what was read before stays in force",
                    ["what": item.what, "cause": cause])
            }
            return cause
        }
    }
}
