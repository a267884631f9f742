internal import CSQLite
internal import SQLite

/// Ends a read whose time is over, or that holds back the checkpoint for too long.
final class Watchdog {
    private static let stepsPerCallback: Int32 = 4096

    private let activity: ReaderActivity
    private var deadline: ContinuousClock.Instant?

    init(activity: ReaderActivity) {
        self.activity = activity
    }

    /// The watchdog must live as long as the connection.
    func install(on connection: borrowing Connection) {
        sqlite3_progress_handler(
            connection.pointer, Self.stepsPerCallback,
            { context in
                guard let context else { return 1 }
                let watchdog = Unmanaged<Watchdog>.fromOpaque(context).takeUnretainedValue()
                return watchdog.reason == nil ? 0 : 1
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    func start(deadline: ContinuousClock.Instant?) {
        self.deadline = deadline
    }

    func stop() {
        deadline = nil
    }

    /// Why the read must end; nil when it may go on.
    var reason: String? {
        if let deadline, ContinuousClock.now >= deadline { return "query timeout" }
        return activity.isEvicted
            ? "read ended: it held back the checkpoint of the write-ahead log for too long" : nil
    }
}
