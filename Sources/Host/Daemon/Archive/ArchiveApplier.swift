internal import ObjectStorage
internal import Raft
internal import StateMachine
internal import Wire

/// Applies entries of an archive to a database as nodes do, until the target. Belongs to one thread.
final class ArchiveApplier {
    /// Entries that were applied.
    private(set) var count = 0
    private let applier: Applier
    private let target: ArchiveTarget
    private var clock: LogClock

    /// From this size of SQLite's write-ahead log on it is copied into the file.
    private static let walBytes: Int64 = 64 << 20
    /// Entries of one transaction.
    private static let batch = 512

    init(path: String, target: ArchiveTarget) throws(StorageFault) {
        self.target = target
        do throws(ApplyFault) {
            applier = try Applier(path: path)
        } catch {
            throw StorageFault("the base can't be opened: \(error)")
        }
        clock = LogClock(milliseconds: applier.applied.lastMilliseconds)
    }

    /// Decisions among the entries, which may be about earlier ones: before any of those is applied.
    func note(_ entries: [Entry]) {
        for entry in entries where entry.isDecision {
            guard case .command(let bytes) = entry.payload,
                case .skip(let skip)? = try? LogCommand(decoding: bytes)
            else { continue }
            applier.decide(skip)
        }
    }

    /// - Parameter entries: right behind those applied.
    /// - Returns: false: the target is reached.
    func apply(_ entries: [Entry]) throws(StorageFault) -> Bool {
        let wanted = entries.prefix { entry in
            let after = clock.after(entry)
            guard isWanted(entry, at: after) else { return false }
            clock = after
            return true
        }
        var rest = wanted
        while !rest.isEmpty {
            let batch = rest.prefix(Self.batch)
            rest = rest.dropFirst(batch.count)
            var results: [AppliedEntry] = []
            do throws(ApplyFault) {
                try applier.apply(batch, reporting: { _ in false }, into: &results)
                if applier.walBytes > Self.walBytes { _ = try applier.checkpoint() }
            } catch {
                throw StorageFault(
                    "applying entry \(applier.applied.position.index.next) failed: \(error)")
            }
            count += batch.count
        }
        return wanted.count == entries.count
    }

    private func isWanted(_ entry: Entry, at clock: LogClock) -> Bool {
        switch target {
        case .newest: true
        case .index(let index): entry.index <= index
        case .time(let time): clock.milliseconds <= time
        }
    }

    /// All of it is in the file.
    func finish() throws(StorageFault) -> AppliedState {
        var isComplete = false
        do throws(ApplyFault) {
            isComplete = try applier.checkpoint().extent == .complete
        } catch {
            throw StorageFault("checkpointing the restored database failed: \(error)")
        }
        guard isComplete else {
            throw StorageFault("the restored database can't be checkpointed as a whole")
        }
        return applier.applied
    }
}
