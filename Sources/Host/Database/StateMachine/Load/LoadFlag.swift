internal import CSQLite
internal import SQLite
internal import Synchronization

/// Raised when nobody waits any more for what is looked at: that ends soon then. Thread-safe.
final class LoadFlag: Sendable {
    private let value = Atomic<Bool>(false)

    var isRaised: Bool { value.load(ordering: .relaxed) }

    func raise() { value.store(true, ordering: .relaxed) }

    /// Ends what runs at a connection when it is raised. It must be there as long as statements run.
    func watch(_ connection: borrowing Connection) {
        sqlite3_progress_handler(
            connection.pointer, 4096,
            { context in
                guard let context else { return 1 }
                return Unmanaged<LoadFlag>.fromOpaque(context).takeUnretainedValue().isRaised
                    ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
    }
}
