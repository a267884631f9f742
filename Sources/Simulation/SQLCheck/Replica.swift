import Chance
import Scratch

internal import Glibc
internal import Raft
internal import StateMachine
internal import Wire

/// One database of its own to which a history is applied in one of the ways in which nodes differ.
final class Replica {
    enum Way: String, CaseIterable, Sendable {
        /// Entries come one at a time, and somebody waits for each.
        case single
        /// Entries come in batches.
        case batched
        /// The node restarts after every entry.
        case restarted
        /// Half-way it is replaced by a node that got a snapshot; before that nobody waits.
        case snapshot
    }

    /// What must be the same in all ways.
    struct Outcome: Equatable {
        /// By place in the history; nothing where nobody waited.
        var answers: [Int: CommandResult] = [:]
        /// What a reader said, open all the time, to requests that only read, before they were applied.
        var readings: [Int: CommandResult] = [:]
        /// By table; the schema under its own name.
        var rows: [DumpedTable] = []
        /// Of the rows that were written.
        var trace: Digest?
        /// Of the content, piece by piece.
        var scrub: [Digest] = []
    }

    private let directory: TemporaryDirectory
    private var databases: DatabaseDirectory
    private var generation = Generation.first
    private var applier: Applier
    private var reader: Reader?
    private let history: History
    private let limits: ApplierLimits
    private var dice: SplitMix64
    private var outcome = Outcome()

    private init(_ history: History) throws {
        self.history = history
        dice = SplitMix64(seed: ~history.seed)
        directory = try TemporaryDirectory("sqlcheck")
        databases = DatabaseDirectory(path: directory.path)
        var state = AppliedState(
            settings: ClusterSettings(
                foreignKeys: history.foreignKeys,
                limits: WriteLimits.initial.applying(WriteLimitsChange(steps: 400_000))))
        state.trace = Digest()
        try databases.create(generation, state: state)
        limits = Self.limits
        applier = try Applier(path: databases.file(of: generation), limits: limits)
    }

    /// Small enough for runaway statements to end soon and large results to meet their limit.
    private static var limits: ApplierLimits {
        var limits = ApplierLimits()
        limits.resultBytes = 20_000
        limits.keptStatements = 16
        return limits
    }

    static func outcome(of history: History, applied way: Way) throws -> Outcome {
        let replica = try Replica(history)
        switch way {
        case .single:
            // What reads say of chance and time is nobody else's.
            if history.isJudged {
                replica.reader = try Reader(path: replica.applier.path, limits: Self.limits)
            }
            try replica.applyAll(inBatchesOf: 1)
        case .batched: try replica.applyAll(inBatchesOf: 40)
        case .restarted:
            for place in history.commands.indices {
                try replica.apply(place..<place + 1)
                try replica.restart()
            }
        case .snapshot:
            let half = replica.dice.below(history.commands.count)
            try replica.applyAll(inBatchesOf: 9, until: half, isHeard: false)
            try replica.moveBySnapshot()
            try replica.apply(half..<history.commands.count)
        }
        replica.outcome.rows = try Dump.rows(of: replica.applier.path)
        replica.outcome.trace = replica.applier.applied.trace
        replica.outcome.scrub = try replica.scrub()
        return replica.outcome
    }

    /// A whole pass, in pieces so small that tables are cut.
    private func scrub() throws -> [Digest] {
        var bounds = ScrubBounds()
        bounds.rows = 5
        let scrubber = try Scrubber(path: applier.path, bounds: bounds)
        var digests: [Digest] = []
        var cursor: ScrubCursor? = .start
        while let place = cursor {
            guard scrubber.hold() else { throw CheckError.noScrub("no snapshot") }
            switch scrubber.scan(from: place) {
            case .read(let digest, let next):
                digests.append(digest)
                cursor = next
            case .damaged(let text), .failed(let text): throw CheckError.noScrub(text)
            }
        }
        return digests
    }

    private func applyAll(
        inBatchesOf largest: Int, until end: Int? = nil, isHeard: Bool = true
    ) throws {
        let end = end ?? history.commands.count
        var start = 0
        while start < end {
            let next = min(end, start + 1 + dice.below(largest))
            try apply(start..<next, isHeard: isHeard)
            start = next
        }
    }

    private func apply(_ places: Range<Int>, isHeard: Bool = true) throws {
        if let place = places.first { read(place) }
        let entries = places.map { history.entry($0) }
        var results: [AppliedEntry] = []
        try applier.apply(entries, reporting: { _ in isHeard }, into: &results)
        for applied in results {
            guard var result = applied.result else { continue }
            for index in result.statements.indices { result.statements[index].nanoseconds = 0 }
            outcome.answers[Int(applied.index.rawValue) - 1] = result
        }
    }

    private func read(_ place: Int) {
        guard let reader, case .result(var result) = reader.run(history.commands[place]) else {
            return
        }
        for index in result.statements.indices { result.statements[index].nanoseconds = 0 }
        outcome.readings[place] = result
    }

    private func restart() throws {
        applier = try Applier(path: databases.file(of: generation), limits: limits)
    }

    private func moveBySnapshot() throws {
        guard let source = try applier.beginSnapshot() else { throw CheckError.noSnapshot }
        let bytes = try source.read(offset: 0, count: Int(source.byteCount))
        applier.endSnapshot()
        generation = generation.next
        try TemporaryDirectory.write(bytes, to: databases.incomingFile(of: generation))
        try databases.installSnapshot(
            as: generation, mark: source.mark, cluster: ClusterID(RandomID(high: 1, low: 1)))
        try restart()
    }
}

enum CheckError: Error {
    case noSnapshot
    case noRows(String)
    case noScrub(String)
}
