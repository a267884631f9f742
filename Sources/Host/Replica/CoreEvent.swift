import PeerProtocol
package import Raft
import Registry
import Replication
import Service
import StateMachine
import Time
import Transport
import Wire

/// What reaches the core's thread. Each case is a fact or a request, never a question: what the
/// core has to say goes out through its collaborators.
enum CoreEvent: Sendable {
    // From clients, straight or through another node.
    case requests([PendingRequest])
    /// A request that a reader could not serve, because it writes.
    case needsWrite(PendingRequest)
    /// Another node turned out not to lead: nothing was done.
    case retry(PendingRequest)

    // From other nodes.
    /// The credit lives as long as the event: it goes back when the core has taken them.
    case messages([Message], MessageCredit)
    case unreachable(NodeID)
    case joinAsked(JoinRequest, reply: @Sendable (PeerAnswer) -> Void)
    case joinerAnswered(JoinRequest, PeerResult, reply: @Sendable (PeerAnswer) -> Void)
    /// What answers at the address where the member is known whose ID a joiner bears.
    case namesakeAnswered(
        JoinRequest, Hello, PeerAddress, PeerResult, reply: @Sendable (PeerAnswer) -> Void)
    case formationAsked([UInt8], from: PeerCaller, reply: @Sendable (PeerAnswer) -> Void)
    case answered(PeerAddress, PeerCall, PeerResult)
    case candidates(Candidates)
    /// Another node introduced itself while this one has no cluster: more may be there now.
    case helloHeard(NodeIdentity)

    // From the registry.
    case registryAnswered(RegistryRequest, RegistryRequestID, RegistryReply)
    case registryWatched(RegistryWatchOutcome)

    // From the log's thread.
    case written(PersistTicket)
    case fetched(Effects.LogFetch, [Entry])
    case compacted(LogPosition)
    case recorded(RecordID)
    case logReset(SnapshotMark, Generation)
    case logFull(Bool)

    // From the state machine's thread.
    case applied(through: LogIndex)
    case checkpointed(through: LogIndex)
    case databaseFull(Bool)
    /// A long read keeps SQLite's log from being checkpointed, beyond the bound.
    case readersHoldCheckpoint
    case snapshotOpened(SnapshotSending)
    /// A received snapshot stands ready as a database file of the generation, or can't be used.
    case databasePrepared(SnapshotMark, Result<Generation, PreparationFailure>)
    case databaseSwitched(SnapshotMark, path: String)
    /// The database knows the cluster it belongs to.
    case established

    // Snapshots on the network.
    case snapshotSent(to: NodeID, through: LogIndex?)
    case snapshotReceived(SnapshotArrival)

    /// Something failed that the node can't go on without.
    case fault(String)
    /// The node is about to stop: leadership goes to another.
    case leave(done: @Sendable () -> Void)
    case stop(done: @Sendable () -> Void)
}

/// A client's request with what came of it on the way to the core.
struct PendingRequest: Sendable {
    var request: ClientRequest
    var target: ReplyTarget
    var arrival: MonotonicTime
    var deadline: MonotonicTime
    /// The log entry for commands that write, its stamp still empty; encoded on the caller's
    /// thread.
    var encoded: [UInt8]
    /// Reads of a `/db/request` turned out to write: don't try the readers again.
    var isWrite = false
    /// A readiness check that waits until everything through here is applied.
    var syncIndex: LogIndex?

    init(_ request: ClientRequest, sink: any ReplySink, now: MonotonicTime) {
        self.request = request
        target = ReplyTarget(sink: sink, id: request.id)
        arrival = now
        deadline = now + request.timeout
        encoded = []
    }

    /// Makes the log entry, unless that is done.
    mutating func encode() {
        guard encoded.isEmpty, case .command(let command, _) = request.operation else { return }
        encoded = LogCommand.command(command).encoded()
    }
}

/// Names a metadata record that must be durable before its consequence.
struct RecordID: Hashable, Sendable {
    let rawValue: UInt64
    init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

typealias PeerResult = Result<PeerAnswer, TransportError>

/// Why the core asked another node something.
enum PeerCall: Sendable {
    case formationHello
    case formation
    case join
    /// To learn a member's API URL and versions.
    case acquaintance(NodeID)
}

/// Addresses that may lead to other nodes, and what to say of those that could not be had.
package struct Candidates: Equatable, Sendable {
    package var addresses: [PeerAddress]
    /// Says why the list is empty or partial.
    package var problem: String?

    package init(_ addresses: [PeerAddress], problem: String? = nil) {
        self.addresses = addresses
        self.problem = problem
    }
}
