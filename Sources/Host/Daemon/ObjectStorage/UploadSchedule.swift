package import Time

/// When the leader backs up, as a value: who carries it out asks for the next step and says what came of
/// it.
///
/// Only a leader does anything. At the begin of its leadership it reads what the storage holds; then, at
/// most once in an interval, it uploads if the log has moved since, and skips where it has not. After a
/// failure it tries again after a second, two, four, up to five minutes, or what the try took,
/// an hour at most.
package struct UploadSchedule: Equatable, Sendable {
    package enum Step: Equatable, Sendable {
        /// Nothing until then; or ask again when something is known to have changed.
        case rest(until: MonotonicTime)
        /// Read what the storage says of the copy that it holds.
        case readMarker
        /// Make a copy, and store it unless `holds` says that it is there.
        case upload
        /// Nothing has changed since the last copy. `found` is told what lies there now.
        case skip
    }

    private static let longestPause = Duration.seconds(300)
    /// How soon a new leadership is seen.
    private static let watch = Duration.seconds(1)

    private let interval: Duration
    private var leadership: UInt64?
    /// What the storage holds, as far as this leadership knows.
    private var known: BackupMarker?
    /// Whose copy lay there at the last look; nil: there was none, or nobody said whose it is.
    private var owner: String?
    private var hasRead = false
    private var due = MonotonicTime.zero
    /// In a row.
    private var failures = 0

    /// - Parameter interval: between the begins of two uploads.
    package init(interval: Duration) { self.interval = interval }

    /// - Parameters:
    ///   - leadership: the term in which the node leads; nil: it does not.
    ///   - cluster: the cluster's ID.
    ///   - index: how far the log is applied.
    package mutating func step(
        at now: MonotonicTime, leadership: UInt64?, cluster: String, index: UInt64
    ) -> Step {
        if leadership != self.leadership {
            self.leadership = leadership
            known = nil
            owner = nil
            hasRead = false
            failures = 0
            due = now
        }
        let soon = now + min(interval, Self.watch)
        guard leadership != nil else { return .rest(until: soon) }
        guard now >= due else { return .rest(until: min(due, soon)) }
        guard hasRead else { return .readMarker }
        guard let known, known.cluster == cluster, known.index == index else { return .upload }
        due = now + interval
        return .skip
    }

    /// - Parameter marker: nil also where it can't be read: then a copy is uploaded.
    package mutating func markerRead(_ marker: BackupMarker?) {
        known = marker
        owner = marker?.cluster
        hasRead = true
    }

    /// The storage was looked at again. What was taken away, or expired, is due, whoever's it was. A node that led before, and was held up, may have put an older copy
    /// of the cluster's in the place of the newest, which is due again then. The digest tells: equal content
    /// may bear an older index. What another cluster puts there is no reason to take turns with it.
    package mutating func found(_ copy: StoredCopy) {
        owner = copy.marker?.cluster
        if copy == .nothing { known = nil }
        guard let marker = copy.marker else { return }
        guard marker.cluster == known?.cluster, marker.digest != known?.digest else { return }
        known = marker
    }

    /// The last try failed.
    package var hasFailed: Bool { failures > 0 }

    /// Whether a copy would be made for nothing, for it can't be known what lies at its place: the storage is away for now, or
    /// none is put where another cluster's may lie. There are keys that permit nothing but to put a copy there.
    /// - Parameter isGuarded: another cluster's copy stays.
    package static func isVain(after fault: StorageFault, isGuarded: Bool) -> Bool {
        isGuarded || fault.isTransient
    }

    /// Whether the storage holds the same content already.
    package func holds(digest: String) -> Bool { known?.digest == digest }

    /// Whether what the storage holds is an older copy of the same cluster's.
    package func holds(of cluster: String) -> Bool { known?.cluster == cluster }

    /// The other cluster whose copy the storage holds; nil: none, or nobody said whose it is.
    package func other(than cluster: String) -> String? {
        owner.flatMap { $0 == cluster ? nil : $0 }
    }

    /// The storage holds this now, or held it before.
    /// - Parameter begin: when the copy was begun.
    package mutating func done(_ marker: BackupMarker, begunAt begin: MonotonicTime) {
        known = marker
        owner = marker.cluster
        failures = 0
        due = begin + interval
    }

    /// There is nothing to be backed up, or it is not this node's to do.
    package mutating func passed(at now: MonotonicTime) { due = now + interval }

    /// What took long is not tried again for as long, an hour at most: each try copies the whole database.
    /// - Parameter begin: when the try was begun.
    package mutating func failed(at now: MonotonicTime, begunAt begin: MonotonicTime) {
        failures += 1
        due = now + .pause(behind: failures, lasting: now - begin, atMost: Self.longestPause)
    }
}
