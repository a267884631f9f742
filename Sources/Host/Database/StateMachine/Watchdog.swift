internal import CSQLite
internal import SQLite

/// Ends a read whose time is over, that nobody waits for, or that holds back the checkpoint for too
/// long. SQLite calls it between the steps of its virtual machine; a single step that takes minutes
/// it can't end.
final class Watchdog {
    private static let stepsPerCallback: Int32 = 4096

    private let activity: ReaderActivity
    private let onProgress: (@Sendable () -> Void)?
    private var deadline: ContinuousClock.Instant?
    /// When it was told between two statements last that the read takes long, or the read began.
    private var toldAt = ContinuousClock.now
    /// What runs comes to its end whatever there is against it. BEGIN and ROLLBACK must: SQLite counts the
    /// steps of a kept statement over all its runs, and so calls in the middle of these, too, now and then.
    var isOff = false

    /// - Parameter onProgress: called on the reader's thread while a statement, or many of them, take long,
    ///   about every millisecond.
    init(activity: ReaderActivity, onProgress: (@Sendable () -> Void)?) {
        self.activity = activity
        self.onProgress = onProgress
    }

    /// The watchdog must live as long as the connection.
    func install(on connection: borrowing Connection) {
        sqlite3_progress_handler(
            connection.pointer, Self.stepsPerCallback,
            { context in
                guard let context else { return 1 }
                let watchdog = Unmanaged<Watchdog>.fromOpaque(context).takeUnretainedValue()
                csqlite_end_nested()
                guard !watchdog.isOff else { return 0 }
                watchdog.onProgress?()
                return watchdog.reason == nil ? 0 : 1
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    func start(deadline: ContinuousClock.Instant?) {
        self.deadline = deadline
        toldAt = .now
    }

    /// Between two statements. Of a short one SQLite reports nothing, and a read may have a million.
    func passStatement() {
        let now = ContinuousClock.now
        guard now - toldAt >= .milliseconds(1) else { return }
        toldAt = now
        onProgress?()
    }

    /// The read did nothing for so long, because nobody asked for more of it.
    func postpone(by time: Duration) {
        if time > .zero, let deadline { self.deadline = deadline + time }
    }

    var isCancelled: Bool { activity.isCancelled }

    func stop() {
        deadline = nil
    }

    /// Why the read must end; nil when it may go on.
    var reason: String? {
        if let deadline, ContinuousClock.now >= deadline { return Reader.timeoutText }
        if activity.isCancelled { return "read ended: nobody waits for it any more" }
        return activity.isEvicted
            ? "read ended: it held back the checkpoint of the write-ahead log for too long" : nil
    }
}
