internal import CSQLite
internal import SQLite
internal import Synchronization

/// Raised when nobody waits any more for what is looked at: that ends soon then. Thread-safe.
final class LoadFlag: Sendable {
    private static let stepsPerCall = 4096

    private let value = Atomic<Bool>(false)
    /// How often SQLite may ask yet, while that is bounded.
    private let left = Atomic<Int>(.max)
    private let schemaSteps: Int

    /// - Parameter schemaSteps: what reading a schema may take, in steps of SQLite's virtual machine: some ten
    ///   million objects, and less than a minute.
    init(schemaSteps: Int = 100_000_000) { self.schemaSteps = schemaSteps }

    var isRaised: Bool { value.load(ordering: .relaxed) }

    func raise() { value.store(true, ordering: .relaxed) }

    /// From here until `schemaIsRead` what runs at a connection ends by itself, too: the pages of a schema
    /// may name each other again and again, so that reading it comes to no end.
    func schemaIsToBeRead() {
        left.store(schemaSteps / Self.stepsPerCall, ordering: .relaxed)
    }

    func schemaIsRead() { left.store(.max, ordering: .relaxed) }

    private var isDue: Bool {
        isRaised || left.wrappingSubtract(1, ordering: .relaxed).newValue < 0
    }

    /// Ends what runs at a connection when it is raised. It must be there as long as statements run.
    func watch(_ connection: borrowing Connection) {
        sqlite3_progress_handler(
            connection.pointer, Int32(Self.stepsPerCall),
            { context in
                guard let context else { return 1 }
                return Unmanaged<LoadFlag>.fromOpaque(context).takeUnretainedValue().isDue ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
    }
}
