import NodeLogic
import Raft
import Time

/// What is looked at of a node's machine after every step. It is read at one time, and again only when
/// the machine has changed: each question that is asked of a value of that size may copy it first.
struct MachineSighting {
    let cluster: ClusterID?
    let exclusion: Exclusion
    /// It has a log, and so a term and a role.
    let takesPart: Bool
    let role: RoleName
    let term: Term
    let membershipIndex: LogIndex
    let commitIndex: LogIndex
    let lastPosition: LogPosition
    /// When its next tick is due, by the node's own clock.
    let nextTick: MonotonicTime
    /// Until when reads need not ask the machine (`ReadGate`).
    let localReadsUntil: MonotonicTime
    let leaderReadsUntil: MonotonicTime

    init(_ turn: NodeTurn, nextTick: MonotonicTime) {
        cluster = turn.outline.cluster
        exclusion = turn.outline.exclusion
        takesPart = turn.outline.takesPart
        role = turn.outline.role
        term = turn.outline.term
        membershipIndex = turn.outline.membershipIndex
        commitIndex = turn.positions.commitIndex
        lastPosition = turn.positions.lastPosition
        self.nextTick = nextTick
        localReadsUntil = turn.outline.servesLocally ? turn.servesUntil : .zero
        leaderReadsUntil = turn.outline.servesAsLeader ? turn.servesUntil : .zero
    }

    /// Whether the core of the same run is as it was, in all that tells one state of it from another: what the
    /// log holds, what of it is committed, and who the node is.
    func isAlike(_ other: MachineSighting) -> Bool {
        role == other.role && term == other.term && commitIndex == other.commitIndex
            && lastPosition == other.lastPosition && membershipIndex == other.membershipIndex
    }
}
