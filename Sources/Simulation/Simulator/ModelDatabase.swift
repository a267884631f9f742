import Chance
import NodeLogic
import Raft
import Wire

/// A database file: a process that ends leaves it as it is; a power cut takes it back to any point
/// after its last finished checkpoint.
struct ModelDatabase {
    let generation: Generation
    private(set) var live: ModelState
    private(set) var checkpoint: ModelState
    private(set) var sinceCheckpoint: [Entry] = []

    init(generation: Generation, state: ModelState) {
        self.generation = generation
        live = state
        checkpoint = state
    }

    /// What a start looks at.
    var stored: StoredDatabase {
        StoredDatabase(
            position: live.position, cluster: live.cluster, membership: live.membership,
            membershipIndex: live.membershipIndex)
    }

    mutating func apply(_ entry: Entry) -> CommandResult? {
        sinceCheckpoint.append(entry)
        return live.apply(entry)
    }

    /// The database knows its cluster, durably.
    /// - Parameter index: from which on the membership holds; nil if it stays as it is.
    mutating func establish(
        _ cluster: ClusterID, _ membership: Membership, from index: LogIndex? = nil
    ) {
        live.cluster = cluster
        live.membership = membership
        live.membershipIndex = index ?? live.membershipIndex
        finishCheckpoint()
    }

    mutating func finishCheckpoint() {
        checkpoint = live
        sinceCheckpoint = []
    }

    /// - Returns: whether anything was lost.
    mutating func losePower(_ random: inout SplitMix64) -> Bool {
        let kept = sinceCheckpoint.prefix(random.below(sinceCheckpoint.count + 1))
        let isLoss = kept.count < sinceCheckpoint.count
        live = checkpoint
        for entry in kept { live.apply(entry) }
        finishCheckpoint()
        return isLoss
    }

    /// Takes what was not applied for applied.
    mutating func pretend(_ position: LogPosition) { live.position = position }
}
