import Chance
import Raft
import Simulator

@testable import WriteAheadLog

/// A log kept in plain memory: what a `SegmentedLog` must say after the same calls.
struct Oracle: Equatable {
    var identity: NodeIdentity?
    var cluster: ClusterID?
    var abandoned: [ClusterID] = []
    var formation: [UInt8]?
    var registry: [UInt8]?
    var quarantine: [UInt8]?
    var generation: UInt64 = 0
    var hardState = HardState()
    var commitIndex = LogIndex.zero
    var base = LogPosition.zero
    var entries: [Entry] = []
    var membership = Membership()
    var membershipIndex = LogIndex.zero

    var last: LogPosition { entries.last?.position ?? base }

    init() {}

    /// What the log says of itself.
    init(reading log: inout SimulatedLog) throws {
        identity = log.state.identity
        cluster = log.state.cluster
        abandoned = log.state.abandonedClusters
        quarantine = log.state.quarantine
        formation = log.state.formation
        registry = log.state.registry
        generation = log.state.generation
        hardState = log.state.hardState
        commitIndex = log.state.commitIndex
        base = log.state.base
        entries = try log.tail(after: .zero)
        membership = log.state.membership
        membershipIndex = log.state.membershipIndex
    }

    mutating func append(_ batch: LogBatch, memberships: [LogState.PlacedMembership]) {
        for record in batch.records {
            switch record {
            case .identity(let identity): self.identity = identity
            case .cluster(let cluster): self.cluster = cluster
            case .generation(let generation): self.generation = generation
            case .abandoned(let cluster):
                if !abandoned.contains(cluster) { abandoned.append(cluster) }
            case .formation(let bytes): formation = bytes
            case .registry(let bytes): registry = bytes
            case .bootstrapMembership(let membership):
                self.membership = membership
                membershipIndex = .zero
            case .recovered(let cluster, let membership, let index):
                self.cluster = cluster
                self.membership = membership
                membershipIndex = index
                hardState = HardState(term: hardState.term.nextEpoch)
            case .quarantine(let bytes): quarantine = bytes
            case .caughtUp: break
            }
        }
        if let state = batch.hardState { hardState = state }
        if let first = batch.entries.first {
            entries.removeAll { $0.index >= first.index }
            entries += batch.entries
        }
        commitIndex = max(commitIndex, batch.commitIndex ?? .zero)
        if let placed = memberships.last {
            membership = placed.membership
            membershipIndex = placed.index
        }
    }

    mutating func compact(through position: LogPosition) {
        entries.removeAll { $0.index <= position.index }
        base = position
    }

    mutating func reset(to mark: SnapshotMark, generation: UInt64) {
        base = mark.position
        entries = []
        commitIndex = mark.position.index
        membership = mark.membership
        membershipIndex = mark.membershipIndex
        self.generation = generation
    }
}

/// Random calls that a node could make, in step with the oracle.
struct Workload {
    enum Call {
        case append(LogBatch)
        case sync
        case markClean
        case compact(LogPosition)
        case reset(SnapshotMark, UInt64)
    }

    private var dice: SplitMix64
    private(set) var oracle = Oracle()
    /// The whole history of memberships that stand.
    private var memberships = [
        LogState.PlacedMembership(index: .zero, membership: Membership())
    ]
    private var term: UInt64 = 1

    init(seed: UInt64) { dice = SplitMix64(seed: seed) }

    /// Goes back to where another workload was, but not to its dice.
    mutating func resume(from earlier: Workload) {
        let dice = self.dice
        self = earlier
        self.dice = dice
    }

    mutating func next() -> Call {
        switch dice.below(20) {
        case 0..<11: append()
        case 11..<16: .sync
        case 16: .markClean
        case 17, 18: compaction()
        default: dice.below(3) == 0 ? reset() : .sync
        }
    }

    private mutating func append() -> Call {
        var batch = LogBatch()
        if dice.below(4) == 0 { batch.records.append(metadata()) }
        if dice.below(4) == 0 {
            term += 1
            batch.hardState = HardState(term: Term(term), votedFor: vote.votedFor)
        }
        if dice.below(5) > 0 {
            let last = oracle.last.index.rawValue
            let settled = max(oracle.base.index, oracle.commitIndex).rawValue
            var first = last + 1
            if last > settled, dice.below(4) == 0 {
                first = settled + 1 + UInt64(dice.below(Int(last - settled)))
                term += 1
                batch.hardState = HardState(term: Term(term))
            }
            memberships.removeAll { $0.index.rawValue >= first }
            for offset in 0...UInt64(dice.below(6)) {
                batch.entries.append(newEntry(first + offset))
            }
        }
        if dice.below(4) == 0 {
            let end = batch.entries.last?.index ?? oracle.last.index
            let ahead = end.distance(from: oracle.commitIndex)
            if ahead > 0 {
                batch.commitIndex = oracle.commitIndex.advanced(by: 1 + dice.below(ahead))
            }
        }
        oracle.append(batch, memberships: memberships)
        return .append(batch)
    }

    private mutating func newEntry(_ index: UInt64) -> Entry {
        switch dice.below(12) {
        case 0: return entry(index, term: term, .noop)
        case 1:
            let new = membership("n1", "n\(2 + dice.below(5))")
            memberships.append(
                LogState.PlacedMembership(index: LogIndex(index), membership: new))
            return entry(index, term: term, .membership(new))
        default:
            let size = dice.below(10) == 0 ? dice.below(1500) : dice.below(100)
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(index)) }
            return entry(index, term: term, .command(bytes))
        }
    }

    private mutating func metadata() -> MetadataRecord {
        switch dice.below(6) {
        case 0: .identity(identity)
        case 1: .cluster(WriteAheadLogTests.cluster(UInt64(dice.below(9))))
        case 2: .generation(UInt64(dice.below(9)))
        case 3: .abandoned(WriteAheadLogTests.cluster(UInt64(dice.below(9))))
        case 4: .registry([UInt8(dice.below(200))])
        default: .formation([UInt8(dice.below(200))])
        }
    }

    private mutating func compaction() -> Call {
        let last = oracle.commitIndex
        let covered = last.distance(from: oracle.base.index)
        guard covered > 0 else { return .sync }
        let index = oracle.base.index.advanced(by: 1 + dice.below(covered))
        guard let found = oracle.entries.first(where: { $0.index == index }) else { return .sync }
        oracle.compact(through: found.position)
        return .compact(found.position)
    }

    private mutating func reset() -> Call {
        let new = membership("n1", "n9")
        let index = oracle.last.index.advanced(by: dice.below(10))
        let mark = SnapshotMark(
            position: LogPosition(index: index, term: Term(term)), membership: new,
            membershipIndex: index)
        let generation = oracle.generation + 1
        oracle.reset(to: mark, generation: generation)
        memberships = [LogState.PlacedMembership(index: index, membership: new)]
        return .reset(mark, generation)
    }
}

extension SegmentedLog {
    mutating func perform(_ call: Workload.Call) throws(LogError) {
        switch call {
        case .append(let batch): try append(batch)
        case .sync: try sync()
        case .markClean: try markClean()
        case .compact(let position): try compact(through: position)
        case .reset(let mark, let generation): try reset(to: mark, generation: generation)
        }
    }
}
