import Glibc
import Time

/// Slows who tries many credentials. From each address each name has a number of failures for free; after
/// these the next credentials of that name wait, ever longer, before they are looked at. So a neighbour
/// behind the same address waits for nothing, unless many names are tried from there: then all of them do.
/// One that is right is accepted then, too: nobody is shut out because of a neighbour.
struct Guesses {
    /// An IPv4 address, or the first half of an IPv6 one, for who has one of these has all in it.
    typealias Origin = [UInt8]

    /// Whose credentials wait for each other.
    struct Lane: Hashable {
        let origin: Origin
        /// As the file has it; nil: all whom it doesn't know.
        let name: String?
    }

    private enum Subject: Hashable {
        case lane(Lane)
        case origin(Origin)
    }

    private struct Record {
        var failures = 0
        var last: MonotonicTime
        /// When the next credential may be looked at.
        var nextTurn: MonotonicTime
    }

    /// Failures that a person who mistypes has in a minute.
    static let free = 5
    /// The same for all names of an address, of which each counts for its free ones alone.
    static let freeOfOrigin = 50
    static let longestPause: Duration = .seconds(1)
    /// However many wait, none waits longer.
    static let longestWait: Duration = .seconds(3)
    private static let shortestPause: Duration = .milliseconds(50)
    private static let memory: Duration = .seconds(60)
    /// Of records; the one of who failed longest ago is forgotten for another.
    private static let limit = 4096

    private var records: [Subject: Record] = [:]

    /// - Parameter address: as numbers, in brackets or not, with a port or not.
    static func origin(_ address: String) -> Origin {
        var host = address[...]
        if host.hasPrefix("[") {
            host = host.dropFirst().prefix { $0 != "]" }
        } else if host.filter({ $0 == ":" }).count == 1 {
            host = host.prefix { $0 != ":" }
        }
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET6, String(host), &bytes) == 1 {
            let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 255
            return isMapped ? Array(bytes[12...]) : Array(bytes[..<8])
        }
        if inet_pton(AF_INET, String(host), &bytes) == 1 { return Array(bytes[..<4]) }
        return Array(host.utf8.prefix(64))
    }

    /// When a credential from there that nobody has verified may be looked at.
    mutating func turn(of lane: Lane, at now: MonotonicTime) -> MonotonicTime {
        max(
            turn(of: .lane(lane), free: Self.free, at: now),
            turn(of: .origin(lane.origin), free: Self.freeOfOrigin, at: now))
    }

    private mutating func turn(
        of subject: Subject, free: Int, at now: MonotonicTime
    ) -> MonotonicTime {
        guard var record = records[subject] else { return now }
        guard now - record.last < Self.memory else {
            records[subject] = nil
            return now
        }
        guard record.failures >= free else { return now }
        let turn = min(max(now, record.nextTurn), now + Self.longestWait)
        let doublings = min(record.failures - free, 5)
        record.nextTurn = turn + min(Self.shortestPause * (1 << doublings), Self.longestPause)
        records[subject] = record
        return turn
    }

    mutating func failed(_ lane: Lane, at now: MonotonicTime) {
        let before = records[.lane(lane)]
        let isForgotten = before.map { now - $0.last >= Self.memory } ?? true
        if isForgotten { records[.lane(lane)] = nil }
        if isForgotten || before?.failures ?? 0 < Self.free {
            count(.origin(lane.origin), at: now)
        }
        count(.lane(lane), at: now)
    }

    private mutating func count(_ subject: Subject, at now: MonotonicTime) {
        if records[subject] == nil, records.count >= Self.limit,
            let oldest = records.min(by: { $0.value.last < $1.value.last })
        {
            records[oldest.key] = nil
        }
        var record = records[subject] ?? Record(last: now, nextTurn: now)
        record.failures = min(record.failures + 1, 1000)
        record.last = now
        records[subject] = record
    }
}
