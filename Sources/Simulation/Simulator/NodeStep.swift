import NodeLogic
import PeerProtocol
import Raft
import Registry
import Service

/// What one node's threads do when their time comes.
enum NodeStep {
    /// The machine takes what lies in its mailbox.
    case turn
    /// The machine's clock has moved on.
    case tick
    case logWakes
    /// A sleep of the log's thread has lasted as long as it may.
    case logSlept(Int)
    case logSynced
    case databaseWakes
    /// A sleep of the database's thread has lasted as long as it may.
    case databaseSlept(Int)
    case databaseDone
    /// A reader has its turn.
    case read([PendingRequest])
}

/// Who waits for the answer to a request.
enum RequestOrigin: Equatable {
    /// One of the simulation's clients; the number of its operation.
    case client(Int)
    /// The operator, who looks for itself what came of it.
    case `operator`
    /// A node that sent it on, in one of its runs, under its own key.
    case node(slot: Int, run: Int, RequestKey)
}

/// What a node wants of the world, in order. Indirect: it is handed on as it is, and the largest are some
/// hundred bytes.
indirect enum NodeOutput {
    case after(Int, NodeStep)
    case send(Message, to: PeerAddress)
    case answer(RequestOrigin, Outcome)
    case forward([ForwardedRequest], to: PeerAddress)
    case call(PeerCallID, PeerRequest, at: PeerAddress, of: NodeIdentity?, timeout: Int)
    case answerPeer(PeerQuestionID, PeerAnswer)
    case askRegistry(RegistryRequest, RegistryRequestID, timeout: Int)
    case watchRegistry(token: [UInt8], timeout: Int)
    case lookUp(String)
    /// A received snapshot stands as a file; the log does not name it yet.
    case preparedSnapshot
    case sendSnapshot(SnapshotSendID, SnapshotOffer, ModelState, to: PeerAddress?, NodeID)
    case cancelSnapshot(SnapshotSendID)
    case answerOffer(SnapshotReceiptID, refusal: String?)
    case stopReceiving(SnapshotReceiptID)
    case snapshotDone(SnapshotReceiptID, problem: String?)
    case said(NodeNote)
    case stateChanged(NodeStateChange)
    /// The connections of who broke the protocol are closed.
    case refused(NodeIdentity, String)
    /// The process ended by itself.
    case died(String)
    /// Leadership is with another, or stays.
    case left
    /// The machine has come to its end.
    case stopped
    /// Handed to the log, after an entry of the term named.
    case wrote([Entry], previousTerm: Term?)
    case applied(Entry, digest: UInt64, registers: [Int64])
    /// It serves a linearizable read that was asked for then.
    case confirmed(asked: Int)
    case broke(String)
}
