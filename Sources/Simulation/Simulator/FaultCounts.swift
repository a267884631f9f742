/// How often each kind of fault and of rare event was reached: what was never reached was never
/// tested.
package struct FaultCounts: Equatable, Sendable {
    /// Messages lost.
    package var messagesLost = 0
    /// Messages cut.
    package var messagesCut = 0
    /// Messages duplicated.
    package var messagesDuplicated = 0
    /// Messages delayed.
    package var messagesDelayed = 0
    /// Messages of another cluster.
    package var messagesForeign = 0
    /// Spoilt messages.
    package var messagesSpoilt = 0
    /// Messages refused.
    package var messagesRefused = 0
    /// False questions, offers and introductions.
    package var attacks = 0
    /// Clients that hung up.
    package var hangUps = 0
    /// Troubles told.
    package var troubles = 0
    /// Nodes that missed a leader for long.
    package var leaderless = 0
    /// Followers that were silent.
    package var silences = 0
    /// Messages that waited for others.
    package var messagesQueued = 0
    /// Large messages.
    package var largeMessages = 0
    /// Messages that met another node.
    package var misroutedMessages = 0
    /// Questions.
    package var calls = 0
    /// Joins.
    package var joins = 0
    /// Joins refused.
    package var joinsRefused = 0
    /// Nodes that learnt of their removal.
    package var removals = 0
    /// Requests sent on.
    package var forwarded = 0
    /// Requests sent back.
    package var forwardsRefused = 0
    /// Requests lost on the way.
    package var forwardsLost = 0
    /// Registry requests.
    package var registryRequests = 0
    /// Registry failures.
    package var registryFailures = 0
    /// Chunks of snapshots.
    package var chunks = 0
    /// Streams broken off.
    package var streamsBroken = 0
    /// Streams stopped.
    package var streamsStopped = 0
    /// Streams cancelled.
    package var streamsCancelled = 0
    /// Offers refused.
    package var offersRefused = 0
    /// Holds outgrown.
    package var holdsOutgrown = 0
    /// Installations failed.
    package var installationsFailed = 0
    /// Jumps of wall clocks.
    package var wallJumps = 0
    /// Moved nodes.
    package var moves = 0
    /// Formations given up.
    package var formationFailures = 0
    /// Weak reads.
    package var weakReads = 0
    /// Local reads.
    package var localReads = 0
    /// Strong reads.
    package var strongReads = 0
    /// Partitions.
    package var partitions = 0
    /// Asymmetric partitions.
    package var asymmetricPartitions = 0
    /// Flapping links.
    package var flaps = 0
    /// Process crashes.
    package var processCrashes = 0
    /// Orderly stops.
    package var orderlyStops = 0
    /// Crashes inside writes.
    package var crashesInsideWrites = 0
    /// Power cuts.
    package var powerCuts = 0
    /// Database rollbacks.
    package var databaseRollbacks = 0
    /// Lost sectors.
    package var lostSectors = 0
    /// Torn sectors.
    package var tornSectors = 0
    /// Lost name changes.
    package var lostNameChanges = 0
    /// Failed syncs.
    package var failedSyncs = 0
    /// Full disks.
    package var fullDisks = 0
    /// Slow disks.
    package var slowDisks = 0
    /// Hung disks.
    package var hungDisks = 0
    /// Nodes that noticed that their log can't be written.
    package var stalls = 0
    /// Times in which a leader's disk could not be written, and the others went on.
    package var sieges = 0
    /// Corrupted bytes.
    package var corruptions = 0
    /// Starts refused for damage.
    package var damageRefusals = 0
    /// Starts refused with a reason.
    package var startsRefused = 0
    /// Missing logs.
    package var logsMissing = 0
    /// Missing databases.
    package var databasesMissing = 0
    /// Logs of another age than their database.
    package var logsAged = 0
    /// Databases of another age than their log.
    package var databasesAged = 0
    /// Directories of another age.
    package var directoriesAged = 0
    /// Nodes that were found to be older than what was seen of them.
    package var agesNoticed = 0
    /// Copies of directories.
    package var copiesKept = 0
    /// Parts put back.
    package var partsPutBack = 0
    /// Leftovers of interrupted changes.
    package var leftoversRemoved = 0
    /// Failed reads of logs.
    package var failedReads = 0
    /// Failed reads of databases.
    package var databaseReadErrors = 0
    /// Sectors and pages that went bad.
    package var latentErrors = 0
    /// Bits that flipped on running nodes.
    package var runningCorruptions = 0
    /// Full databases.
    package var fullDatabases = 0
    /// Checkpoints held back.
    package var checkpointsHeldBack = 0
    /// Logs marked clean.
    package var marks = 0
    /// Quorums lost.
    package var quorumsLost = 0
    /// Acknowledged writes lost with a quorum.
    package var writesLost = 0
    /// Nodes recovered by peers.json.
    package var recoveries = 0
    /// Recoveries that went on where they were cut off.
    package var recoveriesResumed = 0
    /// Clusters recovered by peers.json.
    package var quorumsRecovered = 0
    /// Pauses.
    package var pauses = 0
    /// Clock jumps.
    package var clockJumps = 0
    /// Replaced nodes.
    package var replacements = 0
    /// Membership changes.
    package var membershipChanges = 0
    /// Promotions.
    package var promotions = 0
    /// Removed leaders.
    package var removedLeaders = 0
    /// Leadership transfers.
    package var transfers = 0
    /// Elections.
    package var elections = 0
    /// Discarded tails.
    package var entriesDiscarded = 0
    /// Log fetches.
    package var logFetches = 0
    /// Compactions.
    package var compactions = 0
    /// Snapshots sent.
    package var snapshotsSent = 0
    /// Snapshots failed.
    package var snapshotsFailed = 0
    /// Snapshots installed.
    package var snapshotsInstalled = 0
    /// Snapshots discarded.
    package var snapshotsDiscarded = 0
    /// Unknown outcomes.
    package var unknownOutcomes = 0
    /// Writes acknowledged.
    package var writesAcknowledged = 0
    /// Reads served.
    package var readsServed = 0
    /// Recoveries with voters missing.
    package var recoveredWithoutAll = 0

    /// All nodes at new addresses.
    package var relocations = 0
    /// All nodes at each other's addresses.
    package var permutations = 0
    /// Nodes at each other's addresses, one by one.
    package var rotations = 0
    /// Floods of the largest entries.
    package var floods = 0
    /// Processes refused beside another of their identity.
    package var copiesRefused = 0
    /// Copies that took the place of their originals.
    package var copiesInPlace = 0
    /// Clusters restored from copies of different ages.
    package var restorations = 0
    /// Nodes that said that they hold more than the cluster kept.
    package var restorationsNamed = 0
    /// Silent members removed.
    package var reapings = 0
    /// Lookups of names.
    package var lookups = 0
    /// Lookups that took seconds.
    package var lookupsSlow = 0
    /// Lookups that failed.
    package var lookupsFailed = 0
    /// Names that led nowhere.
    package var namesUnknown = 0
    /// False messages of the agreement.
    package var falseFormations = 0
    /// Offers of snapshots that are none.
    package var falseOffers = 0
    /// Received files that were no databases.
    package var falseSnapshots = 0
    /// Snapshots of two senders at once.
    package var streamsOverlapping = 0
    /// Faults in the middle of an installation.
    package var installationsStruck = 0
    /// Records of the registry that nobody can read.
    package var recordsSpoilt = 0

    /// Checksums taken at markers.
    package var readings = 0

    package init() {}

    /// Each count with its name, in the order of declaration.
    package static var all: [(name: String, path: WritableKeyPath<FaultCounts, Int>)] {
        [
            ("messages lost", \.messagesLost), ("messages cut", \.messagesCut),
            ("messages duplicated", \.messagesDuplicated), ("messages delayed", \.messagesDelayed),
            ("messages of another cluster", \.messagesForeign), ("partitions", \.partitions),
            ("spoilt messages", \.messagesSpoilt),
            ("messages refused", \.messagesRefused),
            ("false words of peers", \.attacks), ("clients that hung up", \.hangUps),
            ("troubles told", \.troubles), ("nodes without a leader", \.leaderless),
            ("silent followers", \.silences),
            ("messages that waited for others", \.messagesQueued),
            ("large messages", \.largeMessages),
            ("messages that met another node", \.misroutedMessages),
            ("questions", \.calls),
            ("joins", \.joins),
            ("joins refused", \.joinsRefused),
            ("nodes that learnt of their removal", \.removals),
            ("requests sent on", \.forwarded),
            ("requests sent back", \.forwardsRefused),
            ("requests lost on the way", \.forwardsLost),
            ("registry requests", \.registryRequests),
            ("registry failures", \.registryFailures),
            ("chunks of snapshots", \.chunks),
            ("streams broken off", \.streamsBroken),
            ("streams stopped", \.streamsStopped),
            ("streams cancelled", \.streamsCancelled),
            ("offers refused", \.offersRefused),
            ("holds outgrown", \.holdsOutgrown),
            ("installations failed", \.installationsFailed),
            ("jumps of wall clocks", \.wallJumps),
            ("moved nodes", \.moves),
            ("formations given up", \.formationFailures),
            ("weak reads", \.weakReads),
            ("local reads", \.localReads),
            ("strong reads", \.strongReads),
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
            ("starts refused with a reason", \.startsRefused),
            ("missing logs", \.logsMissing), ("missing databases", \.databasesMissing),
            ("logs of another age", \.logsAged), ("databases of another age", \.databasesAged),
            ("directories of another age", \.directoriesAged),
            ("ages noticed", \.agesNoticed),
            ("copies of directories", \.copiesKept), ("parts put back", \.partsPutBack),
            ("leftovers of interrupted changes", \.leftoversRemoved),
            ("failed reads of logs", \.failedReads),
            ("failed reads of databases", \.databaseReadErrors),
            ("sectors and pages gone bad", \.latentErrors),
            ("bits flipped on running nodes", \.runningCorruptions),
            ("full databases", \.fullDatabases),
            ("checkpoints held back", \.checkpointsHeldBack), ("logs marked clean", \.marks),
            ("quorums lost", \.quorumsLost),
            ("acknowledged writes lost with a quorum", \.writesLost),
            ("nodes recovered", \.recoveries), ("recoveries resumed", \.recoveriesResumed),
            ("clusters recovered", \.quorumsRecovered),
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
            ("clusters that moved as a whole", \.relocations),
            ("clusters whose addresses were permuted", \.permutations),
            ("addresses passed around", \.rotations),
            ("floods of large entries", \.floods),
            ("copies refused", \.copiesRefused),
            ("copies in their originals' places", \.copiesInPlace),
            ("clusters restored from copies", \.restorations),
            ("nodes ahead of a restored cluster", \.restorationsNamed),
            ("members reaped", \.reapings),
            ("lookups of names", \.lookups),
            ("slow lookups", \.lookupsSlow),
            ("failed lookups", \.lookupsFailed),
            ("names that led nowhere", \.namesUnknown),
            ("false messages of the agreement", \.falseFormations),
            ("false offers of snapshots", \.falseOffers),
            ("snapshots that were no databases", \.falseSnapshots),
            ("overlapping senders of snapshots", \.streamsOverlapping),
            ("struck installations", \.installationsStruck),
            ("spoilt records of the registry", \.recordsSpoilt),
            ("checksums taken", \.readings),
        ]
    }

    /// Adds what another history reached.
    package static func += (sum: inout FaultCounts, other: FaultCounts) {
        for (_, path) in all { sum[keyPath: path] += other[keyPath: path] }
    }
}
