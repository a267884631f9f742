import PeerProtocol
import Raft
import Time
import Wire

/// Compares what this node finds at markers with what the other members find, and, while it leads,
/// says where the next marker comes (docs/decisions/0081-checksums-through-the-log.md).
///
/// 1. The leader proposes a marker: `due`.
/// 2. Each node takes its reading there: `taken`. It asks all other members for theirs, again and
///    again while it waits: `toAsk`, `answered`.
/// 3. Each judges by itself, by the voters' readings: `verdict`.
struct ChecksumDesk {
    /// What a marker needs to know of the node.
    struct Situation {
        var own: NodeID
        var membership: Membership
        /// It leads, and has applied what its predecessors acknowledged.
        var mayPropose: Bool
        var commitIndex: LogIndex
        /// All members understand markers.
        var isUnderstood: Bool
    }

    /// How often nodes that have not answered are asked.
    static var askingPause: Duration { .seconds(1) }
    /// A comparison is given up after so long: a node is down, or far behind.
    static var patience: Duration { .seconds(60) }
    /// Between two beginnings of the trace.
    static var restartPause: Duration { .seconds(600) }

    private let settings: ChecksumSettings
    /// Oldest first.
    private(set) var readings: [ChecksumReading] = []
    private(set) var comparison: Comparison?
    /// Members that differed from a majority, and since which marker.
    private(set) var deviants: [(id: NodeID, index: LogIndex)] = []
    /// Nodes differ and nobody knows who is right; until a pass without a difference.
    private(set) var undecided: String?
    private var passIsUndecided = false
    /// Something came in since the last verdict.
    private var isNews = false
    /// Where the next piece begins; nil: no pass is under way.
    private(set) var cursor: ScrubCursor?
    /// Markers through this one are of a database that was replaced.
    private var ignored = LogIndex.zero

    private var passBegan: MonotonicTime?
    private var proposedAt: MonotonicTime?
    /// What was proposed and not taken yet.
    private var awaitsOwn = false
    private var restartedAt: MonotonicTime?
    private var isTraced = false
    /// The database had one when the node started, and nothing is known of later markers: where
    /// checksums are off, it is to end.
    private var wasTraced = false
    /// A voter had no trace to compare.
    private var lacksTrace = false

    init(_ settings: ChecksumSettings) { self.settings = settings }

    /// - Parameter isTraced: what the database says when the node starts.
    mutating func begin(isTraced: Bool) { wasTraced = isTraced }

    // MARK: Markers

    /// The marker that the leader is to propose now; nil: none.
    mutating func due(_ situation: Situation, now: MonotonicTime) -> ChecksumMarker? {
        guard situation.mayPropose, situation.isUnderstood else {
            awaitsOwn = false
            return nil
        }
        if awaitsOwn, let proposedAt, now - proposedAt < Self.patience { return nil }
        if let proposedAt, now - proposedAt < settings.interval { return nil }
        guard settings.isOn else {
            guard isTraced || wasTraced else { return nil }
            return proposing(ChecksumMarker(tracing: .stop), now)
        }
        let piece = nextPiece(now)
        let last = readings.last?.index ?? .zero
        guard piece != nil || situation.commitIndex > last else { return nil }
        var marker = ChecksumMarker(piece: piece)
        let mayRestart = restartedAt.map { now - $0 >= Self.restartPause } ?? true
        if !isTraced || lacksTrace, mayRestart {
            restartedAt = now
            lacksTrace = false
            marker.tracing = .restart
        }
        return proposing(marker, now)
    }

    private func nextPiece(_ now: MonotonicTime) -> ScrubCursor? {
        if let cursor { return cursor }
        guard let interval = settings.scrubInterval else { return nil }
        if let passBegan, now - passBegan < interval { return nil }
        return .start
    }

    private mutating func proposing(_ marker: ChecksumMarker, _ now: MonotonicTime)
        -> ChecksumMarker
    {
        proposedAt = now
        awaitsOwn = true
        return marker
    }

    // MARK: Readings

    /// This node took its reading at a marker.
    /// - Parameters:
    ///   - marker: the marker.
    ///   - next: where the next piece begins; nil at the end of a pass, or without a piece.
    mutating func taken(
        _ reading: ChecksumReading, _ marker: ChecksumMarker, next: ScrubCursor?,
        now: MonotonicTime
    ) {
        guard reading.index > ignored, reading.index > readings.last?.index ?? .zero else { return }
        awaitsOwn = false
        readings.append(reading)
        wasTraced = false
        if readings.count > ChecksumReading.kept { readings.removeFirst() }
        switch marker.tracing {
        case .goOn: isTraced = reading.trace != nil
        case .restart: isTraced = true
        case .stop: isTraced = false
        }
        if let piece = marker.piece {
            if piece == .start { passBegan = now }
            // A piece that could not be read is read again.
            cursor = reading.piece == .none ? piece : next
        }
        if marker.piece == .start {
            if !passIsUndecided { undecided = nil }
            passIsUndecided = false
        }
        comparison = Comparison(own: reading, begun: now)
        isNews = true
    }

    /// The next pass begins with the next marker.
    mutating func beginAnew() {
        cursor = nil
        passBegan = nil
    }

    /// The database was replaced by one that stands at the index.
    mutating func replaced(at index: LogIndex) {
        ignored = index
        readings = []
        comparison = nil
        cursor = nil
        deviants = []
        undecided = nil
    }

    // MARK: Comparing

    /// Members to be asked now for what they found.
    mutating func toAsk(_ situation: Situation, now: MonotonicTime) -> [Member] {
        guard var open = comparison, !open.isOver else { return [] }
        guard now - open.begun < Self.patience else {
            open.isOver = true
            comparison = open
            isNews = true
            return []
        }
        let due = situation.membership.voters.filter { member in
            member.id != situation.own && open.others[member.id] == nil
                && open.asked[member.id].map { now - $0 >= Self.askingPause } ?? true
        }
        for member in due { open.asked[member.id] = now }
        comparison = open
        return due
    }

    /// Another member said what it found.
    mutating func answered(_ id: NodeID, _ found: [ChecksumReading]) {
        guard let index = comparison?.own.index,
            let reading = found.first(where: { $0.index == index })
        else { return }
        comparison?.others[id] = reading
        isNews = true
    }

    /// Something is to be judged that was not yet.
    var isVerdictDue: Bool { isNews && comparison != nil }

    /// What the readings at the last marker say, as far as they are known; nil: no news.
    /// - Parameter tracesAlike: whether a node's trace can be compared with this node's.
    mutating func verdict(
        _ situation: Situation, tracesAlike: (NodeID) -> Bool
    ) -> ChecksumVerdict? {
        guard isNews, let open = comparison else { return nil }
        isNews = false
        let voters = situation.membership.voters.map(\.id)
        if open.isComplete(voters, own: situation.own), !open.isOver {
            comparison?.isOver = true
            lacksTrace = voters.contains {
                tracesAlike($0) && open.reading(of: $0, own: situation.own)?.trace == nil
            }
        }
        let verdict = (comparison ?? open).verdict(
            voters, own: situation.own, tracesAlike: tracesAlike)
        note(verdict, open, situation.membership)
        return verdict
    }

    private mutating func note(
        _ verdict: ChecksumVerdict, _ open: Comparison, _ membership: Membership
    ) {
        // Who differs stops taking readings, until it was seeded.
        deviants.removeAll { deviant in
            !membership.contains(deviant.id)
                || open.others[deviant.id] != nil && !verdict.deviants.contains(deviant.id)
        }
        for id in verdict.deviants where !deviants.contains(where: { $0.id == id }) {
            deviants.append((id, verdict.index))
        }
        guard let text = verdict.undecided else { return }
        undecided = text
        passIsUndecided = true
    }
}

/// What an operator decides about checksums.
package struct ChecksumSettings: Equatable, Sendable {
    /// Nodes compare checksums while this node leads.
    package var isOn = true
    /// Between two markers.
    package var interval = Duration.seconds(10)
    /// Between the beginnings of two passes of the scrub; nil: there is none.
    package var scrubInterval: Duration? = .seconds(24 * 3600)
    /// A node that a majority differs from has itself seeded again, once in an hour.
    package var seedsItself = true

    package init() {}

    /// No checksums are compared while this node leads.
    package static let off = {
        var settings = ChecksumSettings()
        settings.isOn = false
        settings.scrubInterval = nil
        return settings
    }()
}
