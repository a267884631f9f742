import NodeLogic
import Synchronization
import Time

/// Tells other threads, without a hop to the core, whether a read may be served here right now.
///
/// The core renews it at each turn. A gate that the core could not renew for an election timeout
/// (a stopped process, a starved thread) is shut: the reader asks the core, which first takes in
/// what happened meanwhile.
final class ReadGate: Sendable {
    private let localUntil = Atomic<UInt64>(0)
    private let leaderUntil = Atomic<UInt64>(0)

    /// To be called at each turn of the machine.
    func renew(_ turn: NodeTurn) {
        let until = turn.servesUntil.nanoseconds
        localUntil.store(turn.outline.servesLocally ? until : 0, ordering: .releasing)
        leaderUntil.store(turn.outline.servesAsLeader ? until : 0, ordering: .releasing)
    }

    func admitsLocalReads(at now: MonotonicTime) -> Bool {
        localUntil.load(ordering: .acquiring) > now.nanoseconds
    }

    func admitsLeaderReads(at now: MonotonicTime) -> Bool {
        leaderUntil.load(ordering: .acquiring) > now.nanoseconds
    }
}
