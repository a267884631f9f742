import Raft
import Replication

/// What one node's threads do when their time comes.
enum NodeEvent {
    /// The core takes what lies in its mailbox.
    case turn
    /// The core's clock has moved on.
    case tick
    case logWakes
    case logSynced
    case applyDone
}

/// What lies in the mailbox of a node's core.
enum CoreEvent {
    case message(Message)
    case unreachable(NodeID)
    case written(PersistTicket)
    case fetched(Effects.LogFetch, [Entry])
    case compacted(LogPosition)
    case logReset(SnapshotMark, generation: UInt64)
    case logFull(Bool)
    case applied(LogIndex)
    case checkpointed(LogIndex)
    case snapshotOpened(to: NodeID, ModelState)
    case databasePrepared(SnapshotMark, generation: UInt64)
    case databaseSwitched(SnapshotMark)
    case snapshotSent(SnapshotTransfer, through: LogIndex?)
    case snapshotReceived(ModelState, SnapshotTransfer)
    case request(ClientRequest)
}

/// One stream of a snapshot from a run of a node.
struct SnapshotTransfer: Equatable {
    var sender: Int
    var run: Int
    var number: UInt64
}

struct ClientRequest {
    enum Wish {
        case command(ModelCommand, padding: Int)
        case read(key: Int)
        case change(MembershipChange)
        case transfer(NodeID?)
    }

    var id: UInt64
    var wish: Wish

    /// What the operator asks for, above all identifiers of clients' operations.
    static let operatorID: UInt64 = 1 << 40
    /// What it asks for without need; not while a node's data are lost.
    static let churnID = operatorID + 1
}

/// What a client is told.
enum Outcome: Equatable {
    case done(LogIndex)
    case value(UInt64)
    /// Without effect for certain.
    case refused
    /// It may have taken effect, or may yet.
    case unknown
}

/// What a node wants of the world, in order.
enum NodeOutput {
    case after(Int, NodeEvent)
    case send(Message)
    case answer(UInt64, Outcome)
    case snapshot(to: NodeID, ModelState, SnapshotTransfer)
    case snapshotDone(SnapshotTransfer, through: LogIndex?)
    /// The process ended by itself.
    case died(String)
    /// Handed to the log, after an entry of the term named.
    case wrote([Entry], previousTerm: Term?)
    case applied(Entry, digest: UInt64)
    case saw(Observation)
    case broke(String)
}
