internal import ObjectStorage
package import Raft
package import Time

/// What a leader does for the archive, as a value: who carries it out asks for the next step and says
/// what came of it.
///
/// Only a leader does anything. At the begin of its leadership it looks where the archive ends
/// (`survey`). It goes on from there if its own log proves that it follows: the entry at the end is the
/// same in both, and with it all before are the same (thesis §3.5). Else, and when the last base is
/// old, or has very many pieces, it begins anew with a base. Where more was written than the logs of others
/// may hold, it does not wait for its interval: who leads next must be able to go on. After a failure it tries again after a
/// second, two, four, up to five minutes; and looks again where the archive ends, for it can't know what
/// of its request was carried out. A base takes its time, in which pieces go on behind the one before: it is asked for
/// again and again until it is there.
package struct ArchiveSchedule: Equatable, Sendable {
    package enum Step: Equatable, Sendable {
        /// Nothing until then.
        case rest(until: MonotonicTime)
        /// Find where the archive ends.
        case survey
        /// Put the whole database there, beside what follows the end meanwhile; before that, the entries that are
        /// between the end and the database, so that the history has no hole.
        /// - behind: nil: nothing is there that it could follow.
        case base(behind: ArchiveEnd?, mustProve: Bool)
        /// Put the entries there that follow.
        /// - mustProve: the entry at the end must be looked for in the log first.
        case piece(behind: ArchiveEnd, mustProve: Bool)
    }

    private static let longestPause = Duration.seconds(300)
    /// Behind a base that failed: each try copies the whole database and checks it, and pieces go on meanwhile.
    private static let longestBasePause = Duration.seconds(3600)
    /// How soon a new leadership is seen.
    private static let watch = Duration.seconds(1)
    /// Of one base. A listing of them takes some tens of requests.
    private static let mostPieces = 50_000

    private let interval: Duration
    private let fullInterval: Duration
    private let mostBehind: Int
    private var leadership: UInt64?
    /// Where the archive ends; nil: nothing is there, or it is not known.
    package private(set) var end: ArchiveEnd?
    /// Where it ended when pieces began to go behind a new base as well; nil: what went there leads as far.
    private var former: ArchiveEnd?
    /// Where pieces end that go behind a base which is on its way, beside those behind the one before: what follows it is
    /// there when it comes, whatever time that takes. Nil: none is on its way, or the log does not go on from there.
    package private(set) var ahead: ArchiveEnd?
    /// When the next of them goes.
    private var aheadDue = MonotonicTime.zero
    /// The log holds more than went behind the base before.
    private var isBehind = false
    /// Where the archive ended when this leadership last knew.
    private var knownEnd: LogIndex?
    /// Somebody has looked where the archive ends.
    package private(set) var hasSurveyed = false
    /// The entry at the end must be looked for in the log first.
    package private(set) var mustProve = true
    /// Put there in this leadership: the log that it came from is the same.
    private var ownBase: BaseName?
    private var due = MonotonicTime.zero
    /// When the next base is to be made.
    private var baseDue = MonotonicTime.zero
    /// Behind which base that is.
    private var lastBase: BaseName?
    /// In a row.
    private var failures = 0
    /// Of bases, in a row.
    private var baseFailures = 0
    /// No base is made before: one failed.
    private var baseMayBegin = MonotonicTime.zero
    /// Since when one was asked for that is not there.
    private var baseSince: MonotonicTime?

    /// - Parameters:
    ///   - interval: between pieces.
    ///   - fullInterval: between bases.
    ///   - mostBehind: with so many entries that are not there the interval is not waited for.
    package init(interval: Duration, fullInterval: Duration, mostBehind: Int = .max) {
        self.mostBehind = mostBehind
        self.interval = interval
        self.fullInterval = fullInterval
    }

    /// - Parameters:
    ///   - leadership: the term in which the node leads; nil: it does not.
    ///   - index: how far the log is applied.
    package mutating func step(
        at now: MonotonicTime, leadership: UInt64?, index: LogIndex
    ) -> Step {
        if leadership != self.leadership {
            self.leadership = leadership
            forget()
            knownEnd = nil
            ahead = nil
            ownBase = nil
            failures = 0
            baseFailures = 0
            baseMayBegin = now
            baseSince = nil
            due = now
        }
        let soon = now + min(interval, Self.watch)
        guard leadership != nil else { return .rest(until: soon) }
        guard now >= due || isFarBehind(index) else { return .rest(until: min(due, soon)) }
        guard hasSurveyed else { return .survey }
        guard let end, end.position.index <= index else {
            baseSince = baseSince ?? now
            return .base(behind: nil, mustProve: true)
        }
        let isBaseDue = now >= baseDue || end.pieces >= Self.mostPieces
        if isBaseDue, now >= baseMayBegin {
            baseSince = baseSince ?? now
            return .base(behind: end, mustProve: mustProve)
        }
        guard end.position.index < index else {
            due = now + interval
            return .rest(until: min(due, soon))
        }
        return .piece(behind: end, mustProve: mustProve)
    }

    private func isFarBehind(_ index: LogIndex) -> Bool {
        guard hasSurveyed, let end else { return false }
        return index.distance(from: end.position.index) >= mostBehind
    }

    /// All that is applied is in the archive, by all that this node knows.
    /// - Parameter index: how far the log is applied.
    package func isComplete(at index: LogIndex) -> Bool {
        hasSurveyed && end?.position.index == index
    }

    /// What follows this is still to go into the archive, by all that this node knows. The entry at the end is
    /// among it, for that proves that the log goes on from there.
    /// - Parameter index: how far the log is applied.
    package func needs(at index: LogIndex) -> LogIndex {
        guard hasSurveyed else { return knownEnd?.previous ?? .zero }
        // A base follows, which holds all that is applied.
        guard let end = former ?? end, end.position.index <= index else { return index.previous }
        return end.position.index.previous
    }

    /// What follows this is to go into the archive once more, behind a new base; nil: nothing is. Without it pieces go
    /// on behind the base before.
    package var wishes: LogIndex? { former == nil ? nil : end?.position.index.previous }

    /// The piece that goes behind the base on its way next, and the last entry for it; nil: none, or not yet. It leads
    /// no farther than the chain before, if there is one: where the base does not come nothing is missing. And that one goes
    /// first: where the line has room for one alone, it must not come to lag until the log lets go of what it needs.
    /// - Parameter index: how far the log is applied.
    package func pieceAhead(
        at now: MonotonicTime, index: LogIndex
    ) -> (behind: ArchiveEnd, through: LogIndex)? {
        guard hasSurveyed, !isBehind, let ahead else { return nil }
        let last = end.map { min($0.position.index, index) } ?? index
        guard ahead.position.index < last else { return nil }
        let isFar = last.distance(from: ahead.position.index) >= mostBehind
        guard now >= aheadDue || isFar else { return nil }
        return (ahead, last)
    }

    private mutating func forget() {
        knownEnd = (former ?? end)?.position.index ?? knownEnd
        end = nil
        former = nil
        isBehind = false
        hasSurveyed = false
        mustProve = true
    }

    /// - Parameters:
    ///   - end: nil: there is nothing.
    ///   - age: of its base, by the wall clock.
    package mutating func surveyed(_ end: ArchiveEnd?, age: Duration, at now: MonotonicTime) {
        self.end = end
        hasSurveyed = true
        mustProve = end?.pieces != 0 || end?.base != ownBase
        let left = fullInterval - min(max(age, .zero), fullInterval)
        // Where the wall clock is behind the log's the base has no age: another look makes it no younger.
        let isKnown = lastBase != nil && end?.base == lastBase
        // One of this leadership's own is there, though pieces lead farther behind the one before.
        let isOlder = ownBase != nil && end != nil && end?.base != ownBase
        if !isOlder { baseDue = isKnown ? min(baseDue, now + left) : now + left }
        lastBase = end?.base
    }

    /// A base is on its way to the storage from now on.
    package mutating func sends(_ base: BaseName, at now: MonotonicTime) {
        ahead = ArchiveEnd(of: base)
        aheadDue = now + interval
    }

    /// A piece behind the base on its way is there.
    /// - Parameter isBehind: more of it may go.
    package mutating func shippedAhead(
        _ end: ArchiveEnd, isBehind: Bool, at now: MonotonicTime
    ) {
        ahead = end
        aheadDue = isBehind ? now : now + interval
    }

    /// No base is on its way any more, or the log does not hold what comes next behind it.
    package mutating func forgetAhead() { ahead = nil }

    /// A base is there now.
    /// - Parameter isFollowed: the log holds what comes behind it; else, for too much was written while it was made,
    ///   pieces go on behind the one before, if there is one.
    package mutating func begun(
        _ base: BaseName, isFollowed: Bool = true, at now: MonotonicTime
    ) {
        let start = ahead.flatMap { $0.base == base ? $0 : nil } ?? ArchiveEnd(of: base)
        ahead = nil
        baseFailures = 0
        baseSince = nil
        baseDue = now + fullInterval
        ownBase = base
        guard isFollowed || end == nil else {
            // Pieces that are very many make the next one due, but not at once.
            baseMayBegin = baseDue
            return
        }
        // What went behind the one before goes behind this one, too, as far as it did not yet.
        due = end == nil ? now + interval : now
        let isPassed = end.map { $0.position.index > start.position.index } ?? false
        former = isPassed && !mustProve ? end : nil
        isBehind = false
        end = start
        lastBase = base
        mustProve = false
        failures = 0
    }

    /// A base could not be made. Pieces go on. What took long is not tried again for as long, an hour at most: each try
    /// copies the whole database and checks it.
    package mutating func baseFailed(at now: MonotonicTime) {
        let tried = baseSince.map { now - $0 } ?? .zero
        baseSince = nil
        guard end != nil else { return failed(at: now, lasting: tried) }
        baseFailures += 1
        baseMayBegin =
            now + .pause(behind: baseFailures, lasting: tried, atMost: Self.longestBasePause)
    }

    /// A piece is there now.
    /// - Parameter isBehind: the log holds more than went into it.
    package mutating func shipped(_ end: ArchiveEnd, isBehind: Bool, at now: MonotonicTime) {
        self.end = end
        self.isBehind = isBehind
        if let former, former.position.index <= end.position.index { self.former = nil }
        mustProve = false
        failures = 0
        due = isBehind ? now : now + interval
    }

    /// The log holds the entry at the end; what follows it was not read with it.
    package mutating func proved() { mustProve = false }

    /// The log does not hold what follows the end, or holds another entry there. Behind a new base the pieces go on behind
    /// the one before.
    package mutating func broke() {
        end = former
        former = nil
        isBehind = false
    }

    /// It can't be done now.
    package mutating func postponed(at now: MonotonicTime) { due = now + interval }

    /// It is not this node's to do.
    package mutating func passed(at now: MonotonicTime) {
        forget()
        due = now + interval
    }

    /// - Parameter tried: how long the try took, if it copied the whole database.
    package mutating func failed(at now: MonotonicTime, lasting tried: Duration = .zero) {
        forget()
        failures += 1
        due = now + .pause(behind: failures, lasting: tried, atMost: Self.longestPause)
    }
}
