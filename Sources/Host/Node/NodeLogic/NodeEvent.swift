package import Cluster
package import PeerProtocol
package import Raft
package import Registry
package import Wire

/// What reaches a node's machine. Each case is a fact or a request, never a question: what the
/// machine has to say goes out as effects. Events come in batches, in the order in which they
/// happened, with the time at which the batch was taken (`NodeMachine.turn`).
package enum NodeEvent: Sendable {
    // From clients, straight or through another node.
    case requests([PendingRequest])
    /// The client hung up: nobody waits for these any more.
    case cancelled([RequestKey])
    /// Another node answered requests that were sent on, and the answers were passed on.
    case forwardEnded([RequestKey])
    /// The first parts of the answers to requests that were sent on were passed on; others follow,
    /// until `forwardEnded`.
    case forwardBegan([RequestKey])
    /// Requests that were sent on and certainly had no effect: they never left this node, or the
    /// other one turned out not to lead.
    case forwardRefused([RequestKey])

    // From other nodes.
    case messages([Message])
    /// Another node sent what none sends that keeps to the protocol; nothing of it was taken, and its
    /// connection ends.
    case brokeProtocol(NodeIdentity, cause: String)
    /// A node that dialed this one says where it is to be reached.
    case spoke(NodeIdentity, at: PeerAddress)
    /// Messages to the peer may be lost.
    case unreachable(NodeID)
    /// Another node asks, and waits for `answerPeer` with the same ID.
    case peerAsked(PeerQuestionID, PeerRequest, PeerCaller)
    /// What became of a `call`.
    case answered(PeerCallID, PeerResult)
    /// Addresses that the operator or discovery named.
    case candidates(Candidates)
    /// What is wrong with discovery itself, or, with nil, that it isn't any more.
    case discoveryTrouble(DiscoveryTrouble, String?)
    /// What came of a `lookUp`.
    case nameLookedUp(String, CandidateNames.Answer)
    /// Another node introduced itself while this one has no cluster: more may be there now.
    case helloHeard(NodeIdentity)

    // From the registry.
    case registryAnswered(RegistryRequest, RegistryRequestID, RegistryReply)
    case registryWatched(RegistryWatchOutcome)

    /// What follows the index is still to be copied from the log of a leader: it stays there, as long as no more
    /// comes than so many bytes. What follows the other index is wished for, within the same bound.
    case keepLog(behind: LogIndex, wishing: LogIndex, atMost: Int)

    // From the log.
    case log(LogReport)
    // From the database.
    case database(DatabaseReport)
    // Of snapshots on the network.
    case snapshot(SnapshotReport)

    /// Something failed that the node can't go on without.
    case fault(String)
    /// The node is about to stop: leadership goes to another. Answered by `left`.
    case leave
    /// What is under way shall come to its end. Answered by `stopped`.
    case stop
}

/// What the log tells of the work it was given.
package enum LogReport: Equatable, Sendable {
    /// The write is durable, and all before it.
    case written(PersistTicket)
    case fetched(Effects.LogFetch, [Entry])
    /// The base as it is after a compaction, whether or not it moved.
    case compacted(LogPosition)
    /// Metadata are durable.
    case recorded(RecordID)
    /// The log stands at the mark and names the generation, durably.
    case reset(SnapshotMark, Generation)
    /// The disk has no room for what must be written, or has again.
    case full(Bool)
}

/// What the database tells of the work it was given.
package enum DatabaseReport: Sendable {
    case applied(through: LogIndex)
    /// Of the batch nothing after the index was applied, for want of room, nor will be: it was given up.
    case gaveUp(after: LogIndex)
    /// Of the batch nothing after the index was applied, nor must be, until somebody decides.
    case halted(ApplyHalt, after: LogIndex)
    /// The limits on writes, at first and whenever they change; before the `applied` of the change.
    case limits(WriteLimits)
    /// The clock of the log, in milliseconds since 1970, where it is well ahead of this machine's: at first, and
    /// when it has gone on by a second.
    case clockAhead(Int64)
    /// A reading at a marker for checksums.
    case checksum(TakenChecksum)
    /// SQLite finds the database damaged: of the batch nothing after the index was applied, nor can
    /// be.
    case damaged(String, after: LogIndex)
    /// A finished, synced checkpoint covers everything through the index.
    case checkpointed(through: LogIndex)
    /// A checkpoint that was asked for is over, after its `checkpointed`. The index is what it covers;
    /// nil: it found no room.
    case checkpointEnded(through: LogIndex?)
    case full(Bool)
    /// A long read keeps SQLite's log from being checkpointed, beyond the bound.
    case readersHoldCheckpoint
    /// The file is held for a snapshot, or why it can't be.
    case snapshotOpened(SnapshotSendID, Result<OpenedSnapshot, Failure>)
    /// The snapshot that is being sent keeps SQLite's log from being checkpointed, beyond the bound.
    case holdOutgrown(SnapshotSendID)
    /// A received snapshot stands ready as a database file of the generation, or can't be used.
    case prepared(SnapshotMark, Result<Generation, Failure>)
    /// The database is the one of the mark from now on.
    case switched(SnapshotMark, Generation)
    /// The database knows the cluster it belongs to.
    case established

    /// Why something could not be had, for the operator.
    package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        package var description: String

        package init(_ description: String) { self.description = description }
    }
}

/// What this node found at a marker for checksums.
package struct TakenChecksum: Equatable, Sendable {
    /// As other nodes are told.
    package var reading: ChecksumReading
    package var marker: ChecksumMarker
    /// Where the next piece begins; nil at the end of a pass, or without a piece.
    package var next: ScrubCursor?
    /// What SQLite finds wrong with the database.
    package var damage: String?

    package init(
        _ reading: ChecksumReading, _ marker: ChecksumMarker, next: ScrubCursor? = nil,
        damage: String? = nil
    ) {
        self.reading = reading
        self.marker = marker
        self.next = next
        self.damage = damage
    }
}

/// What happened to snapshots on the network.
package enum SnapshotReport: Sendable {
    /// The receiver has installed it, or why it has not.
    case sent(SnapshotSendID, Result<Void, PeerFailure>)
    /// Another node would send one: `answerOffer` decides.
    case offered(SnapshotReceiptID, SnapshotOffer)
    /// It lies complete, verified and durable on disk, and is the machine's.
    case received(SnapshotReceiptID)
    /// It will not come; its file is gone.
    case failed(SnapshotReceiptID, cause: String)
}

/// What the shell finds out about its discovery plugin, beside what the plugin answers.
package enum DiscoveryTrouble: Sendable {
    /// Configuration or plugin were not read again when the operator wanted it.
    case notReloaded
    /// The registry does not show other processes what this node writes.
    case notShared
}
