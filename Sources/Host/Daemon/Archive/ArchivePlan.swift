package import ObjectStorage
package import Raft
internal import Telemetry

/// Where in the history of a database a restore is to stand.
package enum ArchiveTarget: Equatable, Sendable {
    /// As far as the archive goes.
    case newest
    /// The last entry that is to be in it.
    case index(LogIndex)
    /// By the clock of the log, milliseconds since 1970: all entries of then and before.
    case time(Int64)
}

extension ArchiveTarget {
    /// - Parameter text: an index from 1 on, or `YYYY-MM-DDTHH:MM:SS[.fraction]Z` from 1970 on; nil for
    ///   anything else.
    package init?(_ text: String) {
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            guard let index = UInt64(text), index > 0 else { return nil }
            self = .index(LogIndex(index))
            return
        }
        guard text.hasSuffix("Z") else { return nil }
        let whole = text.dropLast().prefix { $0 != "." }
        let fraction = text.dropLast().dropFirst(whole.count)
        let digits = fraction.dropFirst()
        guard let time = WallTime(rfc3339: "\(whole)Z"), fraction.isEmpty || !digits.isEmpty,
            digits.utf8.count <= 9, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let milliseconds = Int64((digits + "000").prefix(3))
        else { return nil }
        self = .time(time.seconds * 1000 + milliseconds)
    }
}

/// Which objects of an archive make the database as it was at a target: one base, and the pieces that
/// follow it until there.
package struct ArchivePlan: Equatable, Sendable {
    /// Whose log it is.
    package let cluster: ClusterID
    /// What the entries are applied to.
    package let base: BaseName
    /// All that must be applied, in order; the last one maybe in part.
    package let pieces: [PieceName]
    /// Pieces behind those that say what is to be left out, maybe of an entry that is needed.
    package let decisions: [PieceName]
    /// Where the database is to stand.
    package let target: ArchiveTarget

    /// Looks what is there, by names alone.
    /// - Parameter cluster: nil: the only one that is there.
    /// - Throws: `StorageFault` that says what is missing.
    package init(
        _ store: ArchiveAccess, cluster: ClusterID?, target: ArchiveTarget
    ) throws(StorageFault) {
        let cluster = try Self.choose(cluster, among: try store.clusters(), store.place.name)
        let bases = try store.bases(of: cluster)
        let near = try Self.bases(for: target, among: bases, store.place.name)
        var rest = near[...]
        var (found, baseless): (ArchiveChain?, [ArchiveChain]) = (nil, [])
        while found == nil, let base = rest.popFirst() {
            let (chain, hasBase) = try store.folder(of: cluster, from: base)
            if hasBase { found = chain } else { baseless.append(chain) }
        }
        guard var chain = found else {
            throw Self.missing(near[0], of: cluster, store.place.name)
        }
        if target == .newest {
            chain = try store.farthest(chain, or: rest, of: cluster)
        }
        // As a rule the first reaches it; see `farthest`.
        while target != .newest, !chain.reaches(target, before: chain.next(among: bases)),
            let base = rest.popFirst()
        {
            guard let other = try store.chain(of: cluster, from: base) else { continue }
            if other.reaches(target, before: other.next(among: bases))
                || other.leadsFarther(than: chain)
            {
                chain = other
            }
        }
        let next = chain.next(among: bases)
        // One that never came has nothing that the chain before it lacks.
        let lost = baseless.first { !$0.pieces.isEmpty && $0.leadsFarther(than: chain) }
        if let lost, target == .newest || !chain.reaches(target, before: next) {
            throw Self.missing(lost.base, of: cluster, store.place.name, beside: chain)
        }
        try self.init(cluster: cluster, chain: chain, next: next, target: target)
    }

    /// - Parameters:
    ///   - chain: of the newest base that is not behind the target, as a rule.
    ///   - next: the base behind it.
    package init(
        cluster: ClusterID, chain: ArchiveChain, next: BaseName?, target: ArchiveTarget
    ) throws(StorageFault) {
        self.cluster = cluster
        self.target = target
        base = chain.base
        let count: Int
        switch target {
        case .newest:
            if let gap = chain.gap {
                throw StorageFault(
                    "\(gap); what is there whole ends at index \(chain.end), \(chain.endText): --at "
                        + "\(chain.end) restores it")
            }
            count = chain.pieces.count
        case .index(let index):
            guard chain.reaches(target, before: next) else {
                throw Self.missing("index \(index)", chain, next)
            }
            count = chain.pieces.count { $0.first <= index }
        case .time(let time):
            guard chain.reaches(target, before: next) else {
                throw Self.missing(Self.text(time), chain, next)
            }
            // The first piece that ends later holds the place; those behind it can't.
            let place = chain.pieces.firstIndex { $0.milliseconds > time }
            count = place.map { $0 + 1 } ?? chain.pieces.count
        }
        pieces = Array(chain.pieces.prefix(count))
        decisions = chain.pieces.dropFirst(count).filter(\.hasDecisions)
    }

    private static func choose(
        _ cluster: ClusterID?, among clusters: [ClusterID], _ place: String
    ) throws(StorageFault) -> ClusterID {
        guard let first = clusters.first else {
            throw StorageFault(
                "\(place) has no archive beside it: log_interval in the file of -auto-backup makes one"
            )
        }
        let all = clusters.map { "\($0)" }.joined(separator: ", ")
        if let cluster {
            guard clusters.contains(cluster) else {
                throw StorageFault("\(place) has no archive of cluster \(cluster), but of \(all)")
            }
            return cluster
        }
        guard clusters.count == 1 else {
            throw StorageFault(
                "\(place) has archives of several clusters: choose with --cluster one of \(all)")
        }
        return first
    }

    /// Those from which the target may be reached, the newest first; one at least.
    private static func bases(
        for target: ArchiveTarget, among bases: [BaseName], _ place: String
    ) throws(StorageFault) -> [BaseName] {
        guard let first = bases.first else {
            throw StorageFault("\(place) has no base, and nothing can be restored without one")
        }
        let found = bases.filter { base in
            switch target {
            case .newest: true
            case .index(let index): base.position.index <= index
            case .time(let time): base.milliseconds <= time
            }
        }
        guard !found.isEmpty else {
            throw StorageFault(
                "the archive of \(place) begins at index \(first.position.index), "
                    + "\(text(first.milliseconds)): what was before is not there")
        }
        return found.sorted { $0.isNewer(than: $1) }
    }

    /// - Parameter chain: what can be restored. A base may be on its way still, behind what the log lost.
    private static func missing(
        _ base: BaseName, of cluster: ClusterID, _ place: String, beside chain: ArchiveChain? = nil
    ) -> StorageFault {
        let rest = chain.map {
            "; what is there whole ends at index \($0.end), \($0.endText): --at \($0.end) restores it"
        }
        return StorageFault(
            "the base \(cluster)/\(base.text)/base of \(place) is missing, and nothing can be restored "
                + "without it from index \(base.position.index) on" + (rest ?? ""))
    }

    private static func missing(
        _ what: String, _ chain: ArchiveChain, _ next: BaseName?
    ) -> StorageFault {
        var words =
            "\(what) can't be restored: the log that is there ends at index \(chain.end), "
            + chain.endText
        if let gap = chain.gap { words += "; \(gap)" }
        if let next {
            words +=
                "; the next base is of index \(next.position.index), \(text(next.milliseconds))"
        } else if chain.gap == nil {
            words += ": without --at that is restored"
        }
        return StorageFault(words)
    }

    /// A moment of the log's clock.
    package static func text(_ milliseconds: Int64) -> String {
        WallTime(clampingMilliseconds: milliseconds).rfc3339
    }
}

extension ArchiveChain {
    fileprivate var endText: String { ArchivePlan.text(endMilliseconds) }

    /// The first base at the chain's end, or behind it.
    /// - Parameter bases: by where the log stood.
    fileprivate func next(among bases: [BaseName]) -> BaseName? {
        bases.first {
            $0.position.index > base.position.index && $0.position.index >= end
                && $0.milliseconds >= endMilliseconds
        }
    }

    /// Whether all is there that a database at the target holds.
    fileprivate func reaches(_ target: ArchiveTarget, before next: BaseName?) -> Bool {
        switch target {
        case .newest: true
        case .index(let index): index <= end
        // What comes behind the end may have happened before that moment, too.
        case .time(let time):
            time <= endMilliseconds
                || next.map { $0.position.index == end && time < $0.milliseconds } ?? false
        }
    }
}
