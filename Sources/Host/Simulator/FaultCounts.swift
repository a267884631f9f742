/// How often each kind of fault and of rare event was reached: what was never reached was never
/// tested.
package struct FaultCounts: Equatable, Sendable {
    package var messagesLost = 0
    package var messagesCut = 0
    package var messagesDuplicated = 0
    package var messagesDelayed = 0
    package var messagesForeign = 0
    package var messagesSpoilt = 0
    package var messagesRefused = 0
    package var partitions = 0
    package var asymmetricPartitions = 0
    package var flaps = 0
    package var processCrashes = 0
    package var orderlyStops = 0
    package var crashesInsideWrites = 0
    package var powerCuts = 0
    package var databaseRollbacks = 0
    package var lostSectors = 0
    package var tornSectors = 0
    package var lostNameChanges = 0
    package var failedSyncs = 0
    package var fullDisks = 0
    package var slowDisks = 0
    package var hungDisks = 0
    /// Nodes that noticed that their log can't be written.
    package var stalls = 0
    /// Times in which a leader's disk could not be written, and the others went on.
    package var sieges = 0
    package var corruptions = 0
    package var damageRefusals = 0
    package var pauses = 0
    package var clockJumps = 0
    package var replacements = 0
    package var membershipChanges = 0
    package var promotions = 0
    package var removedLeaders = 0
    package var transfers = 0
    package var elections = 0
    package var entriesDiscarded = 0
    package var logFetches = 0
    package var compactions = 0
    package var snapshotsSent = 0
    package var snapshotsFailed = 0
    package var snapshotsInstalled = 0
    package var snapshotsDiscarded = 0
    package var unknownOutcomes = 0
    package var writesAcknowledged = 0
    package var readsServed = 0
    package var recoveredWithoutAll = 0

    package init() {}

    /// Each count with its name, in the order of declaration.
    package static var all: [(name: String, path: WritableKeyPath<FaultCounts, Int>)] {
        [
            ("messages lost", \.messagesLost), ("messages cut", \.messagesCut),
            ("messages duplicated", \.messagesDuplicated), ("messages delayed", \.messagesDelayed),
            ("messages of another cluster", \.messagesForeign),
            ("spoilt messages", \.messagesSpoilt), ("messages refused", \.messagesRefused),
            ("partitions", \.partitions),
            ("asymmetric partitions", \.asymmetricPartitions), ("flapping links", \.flaps),
            ("process crashes", \.processCrashes), ("orderly stops", \.orderlyStops),
            ("crashes inside writes", \.crashesInsideWrites),
            ("power cuts", \.powerCuts), ("database rollbacks", \.databaseRollbacks),
            ("lost sectors", \.lostSectors), ("torn sectors", \.tornSectors),
            ("lost name changes", \.lostNameChanges), ("failed syncs", \.failedSyncs),
            ("full disks", \.fullDisks), ("slow disks", \.slowDisks),
            ("hung disks", \.hungDisks), ("stalled logs", \.stalls),
            ("leaders relieved of a disk", \.sieges),
            ("corrupted bytes", \.corruptions), ("starts refused for damage", \.damageRefusals),
            ("pauses", \.pauses), ("clock jumps", \.clockJumps),
            ("replaced nodes", \.replacements), ("membership changes", \.membershipChanges),
            ("promotions", \.promotions), ("removed leaders", \.removedLeaders),
            ("leadership transfers", \.transfers), ("elections", \.elections),
            ("discarded tails", \.entriesDiscarded), ("log fetches", \.logFetches),
            ("compactions", \.compactions), ("snapshots sent", \.snapshotsSent),
            ("snapshots failed", \.snapshotsFailed), ("snapshots installed", \.snapshotsInstalled),
            ("snapshots discarded", \.snapshotsDiscarded), ("unknown outcomes", \.unknownOutcomes),
            ("writes acknowledged", \.writesAcknowledged), ("reads served", \.readsServed),
            ("recoveries with voters missing", \.recoveredWithoutAll),
        ]
    }

    package static func += (sum: inout FaultCounts, other: FaultCounts) {
        for (_, path) in all { sum[keyPath: path] += other[keyPath: path] }
    }
}
