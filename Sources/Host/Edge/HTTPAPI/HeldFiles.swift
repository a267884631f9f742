import Synchronization
import Wire

/// What holds the file of a load or of an import, until it is let go where that may take long: whoever holds it last
/// removes the file, and removing a large one would keep an event loop from all its connections. Thread-safe.
final class HeldFiles: Sendable {
    private let holders: Mutex<(LoadParcel?, ImportRun?)>

    init(_ parcel: LoadParcel?, _ run: ImportRun?) { holders = Mutex((parcel, run)) }

    /// Never on an event loop.
    func end() {
        let last = holders.withLock { holders in
            defer { holders = (nil, nil) }
            return holders
        }
        withExtendedLifetime(last) {}
    }
}
