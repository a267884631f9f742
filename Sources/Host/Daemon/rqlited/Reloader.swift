import Glibc
import Synchronization
import Telemetry
import Threads
import Time

/// Reads files again when they change, or when the operator says so: by size, times and number of each
/// file, so that one that is replaced by an older one is noticed too, and so is one behind a link that
/// is moved. What can't be used changes nothing; it is tried again, for the cause may pass without a change
/// of the file: no descriptor, a file server that is away.
///
/// What is read together has a thread of its own: a file server that hangs must not keep from being read what
/// lies elsewhere, such as who is not to be let in any more (decision 238).
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

    private enum Wake: Sendable {
        case asked
        case stop
    }

    private static let period: Duration = .seconds(1)
    /// Between two attempts at files that can't be read.
    private static let pause: Duration = .seconds(5)
    /// Who takes longer hangs.
    private static let patience: Duration = .seconds(10)
    private static let day: Duration = .seconds(86_400)

    private static let failure: StaticString =
        "can't be read again: what was read before stays in force"
    private static let hang: StaticString =
        "reading again does not come back: what was read before stays in force"

    private let readers: [Reader]
    private let daily: @Sendable (Logger) -> Void
    private let logger: Logger
    /// Of each attempt that fails in a new way the log is told where it is made: what lasts is kept here alone.
    private let failures: StateLog
    private let hangs: StateLog
    private let wakes = Mailbox<Wake>()

    /// - Parameter daily: called each day, on a thread that reads nothing.
    init(_ items: [Item], daily: @escaping @Sendable (Logger) -> Void, logger: Logger) {
        let failures = StateLog(Logger(module: "reload", threshold: nil))
        readers = items.map { Reader($0, failures, logger) }
        self.daily = daily
        self.logger = logger
        self.failures = failures
        hangs = StateLog(logger)
    }

    /// - Throws: `ThreadShortage`.
    func start() throws(ThreadShortage) {
        guard !readers.isEmpty else { return }
        for reader in readers { try NamedThread("reload") { reader.run() }.detach() }
        try NamedThread("reload-watch") { [self] in watch() }.detach()
    }

    /// Reads all of them, changed or not.
    func reloadNow() {
        for reader in readers { reader.wakes.post(.asked) }
    }

    func stop() {
        for reader in readers { reader.wakes.post(.stop) }
        wakes.post(.stop)
    }

    /// What is not in force though it was written. Any thread may call.
    var troubles: [StateLog.Trouble] { failures.troubles + hangs.troubles }

    private func watch() {
        var nextDay = MonotonicTime.now + Self.day
        while !wakes.take(until: .now + Self.period).contains(.stop) {
            if MonotonicTime.now >= nextDay {
                nextDay = .now + Self.day
                daily(logger)
            }
            for reader in readers { look(at: reader) }
            hangs.flush()
        }
    }

    private func look(at reader: Reader) {
        guard reader.isLate else { return hangs.cleared(Self.hang, about: reader.item.what) }
        hangs.troubled(
            Self.hang, about: reader.item.what,
            reason: "a disk, a file server or a plugin hangs: it is at it for longer than "
                + Self.patience.goText,
            level: .error)
    }

    /// One item, and the thread that reads it.
    private final class Reader: Sendable {
        /// How far it came.
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

            var hasPipe: Bool { seen.contains { $0?.isPipe ?? false } }
        }

        let item: Item
        let wakes = Mailbox<Wake>()
        private let failures: StateLog
        private let logger: Logger
        /// Since when it is at its files; nil: it rests.
        private let begin = Mutex<MonotonicTime?>(nil)

        init(_ item: Item, _ failures: StateLog, _ logger: Logger) {
            self.item = item
            self.failures = failures
            self.logger = logger
        }

        /// It should have come back.
        var isLate: Bool {
            guard let begin = begin.withLock({ $0 }) else { return false }
            return MonotonicTime.now - begin >= Reloader.patience
        }

        func run() {
            var progress = Progress(seen: item.seen)
            while true {
                let wakes = wakes.take(until: .now + Reloader.period)
                if wakes.contains(.stop) { return }
                begin.withLock { $0 = MonotonicTime.now }
                look(&progress, isAsked: !wakes.isEmpty)
                begin.withLock { $0 = nil }
            }
        }

        private func look(_ progress: inout Progress, isAsked: Bool) {
            let current = FileStamp.of(item.paths)
            let isNews = isAsked || current != progress.seen
            guard isNews || progress.mayTryAgain else { return }
            progress.seen = current
            progress.cause = reload(
                said: isNews ? nil : progress.cause, isLasting: !progress.hasPipe)
            progress.nextAttempt = .now + Reloader.pause
        }

        /// - Parameters:
        ///   - said: the cause that the log has already.
        ///   - isLasting: what can't be read now is to be read; where the node was started with a pipe nothing is.
        /// - Returns: why it could not be read; nil: it was.
        private func reload(said: String?, isLasting: Bool) -> String? {
            do {
                try item.reload()
                failures.cleared(Reloader.failure, about: item.what)
                logger.notice("read again", ["what": item.what])
                return nil
            } catch {
                let cause = "\(error)"
                if isLasting {
                    failures.troubled(
                        Reloader.failure, about: item.what, reason: cause, level: .error)
                }
                if cause != said {
                    logger.error(Reloader.failure, ["what": item.what, "cause": cause])
                }
                return cause
            }
        }
    }
}
