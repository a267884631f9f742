package import PeerProtocol
package import Raft
package import Registry
package import Replication
package import Service
package import Time
package import Wire
package import WriteAheadLog

/// What a node's shell must do, in the order given. None of it may hold the machine's thread up.
package enum NodeEffect: Sendable {
    // To clients.
    /// Each request is answered once; an answer to one that is gone is dropped.
    case answer([ClientAnswer])
    /// Serve these from the database as it is; a request that turns out to write comes back.
    case read([PendingRequest])
    /// Look whether the database answers, for a readiness check.
    case probeDatabase(RequestKey, synced: Bool)
    /// Send these on, once, all to one leader, and pass the answers on.
    case forward([ForwardedRequest], to: PeerAddress)
    /// Nobody waits any more for what was sent on to the node there: tell it.
    case recall([RequestKey], at: PeerAddress)

    // To other nodes.
    case send([Message])
    /// Where a member, or who is about to be one, is to be reached. Any data directory of that ID may
    /// be there: this node's membership may be older than the leader that it must answer.
    case setAddress(PeerAddress, for: NodeID)
    /// It is no member any more: nothing is sent to it.
    case removeAddress(of: NodeID)
    /// Where a node is named nobody else at that address is asked.
    case call(PeerCallID, PeerRequest, at: PeerAddress, of: NodeIdentity?, timeout: Duration)
    case answerPeer(PeerQuestionID, PeerAnswer)
    /// Take nothing more from the connections of who bears this identity, and tell it why. With an
    /// address: from who is there, at once and for a while; another bears the identity rightly.
    case refusePeer(NodeIdentity, at: PeerAddress?, cause: String)
    /// Whoever was refused with this address is the member now: what it says is taken.
    case acceptPeer(NodeIdentity, at: PeerAddress)
    /// Ask for the addresses of a host's name, however long that takes; answered by `nameLookedUp`.
    case lookUp(String)

    // To the registry.
    case askRegistry(RegistryRequest, RegistryRequestID, timeout: Duration)
    case watchRegistry(token: [UInt8], timeout: Duration)

    // To the disk.
    case log(LogWork)
    case database(DatabaseWork)
    /// Another reader may be needed.
    case growReaders
    /// End the longest running read: it keeps SQLite's log from being checkpointed.
    case evictOldestRead

    // Of snapshots on the network.
    case sendSnapshot(SnapshotSendID, SnapshotOffer, to: NodeID)
    /// Reported as `sent`, with a failure, if it was not already.
    case cancelSnapshot(SnapshotSendID)
    /// Nil: it is wanted; else why not.
    case answerOffer(SnapshotReceiptID, refusal: String?)
    /// Stop it and delete its file; nothing more is reported of it.
    case stopReceiving(SnapshotReceiptID, cause: String)
    /// Nil: it is installed, or not needed any more; else why it is not.
    case snapshotDone(SnapshotReceiptID, problem: String?)

    case say(NodeNote)
    /// Something began to be wrong, or is right again.
    case stateChanged(NodeStateChange)
    /// The node can't go on.
    case failed(String)
    /// Leadership is with another node, or stays here.
    case left
    /// Nothing is under way any more.
    case stopped
}

/// Work for the log, done in the order in which it was given.
package enum LogWork: Equatable, Sendable {
    case write(LogWrite)
    /// Metadata that must be durable before `recorded` is reported.
    case record([MetadataRecord], RecordID)
    case fetch(Effects.LogFetch)
    case compact(through: LogIndex)
    case reset(SnapshotMark, Generation)
}

/// Work for the database, done in the order in which it was given.
package enum DatabaseWork: Sendable {
    /// Apply these and answer the requests.
    case apply([Entry], [AppliedAnswer])
    /// Where the batch before it waits for room, leave it where it stands; reported as `gaveUp`.
    case giveUpBatch
    /// Leave these out when their turn comes.
    case decide([EntrySkip])
    /// Apply the entry that is in doubt once more.
    case tryAgain
    /// The node belongs to a cluster from now on; reported as `established`.
    case establish(ClusterID, Membership)
    case openSnapshot(SnapshotSendID)
    case closeSnapshot(SnapshotSendID)
    /// Make the received snapshot a complete database file of the next generation.
    case prepare(SnapshotReceiptID, SnapshotMark)
    case switchTo(Generation, SnapshotMark)
    case discard(SnapshotReceiptID)
    /// Copy SQLite's log into the main file; reported as `checkpointEnded`, once for each.
    case checkpoint
}

/// A request that takes effect with a batch.
package struct AppliedAnswer: Equatable, Sendable {
    /// The request's entry.
    package var index: LogIndex
    /// Whose answer it is.
    package var key: RequestKey
    /// When its client stops waiting: an answer that comes later is dropped.
    package var deadline: MonotonicTime

    package init(index: LogIndex, key: RequestKey, deadline: MonotonicTime) {
        self.index = index
        self.key = key
        self.deadline = deadline
    }
}

/// The answer to one request.
package struct ClientAnswer: Sendable {
    /// Whose answer it is.
    package var key: RequestKey
    /// What the client gets.
    package var outcome: Outcome

    package init(_ key: RequestKey, _ outcome: Outcome) {
        self.key = key
        self.outcome = outcome
    }
}

/// A request as it is sent on to another node.
package struct ForwardedRequest: Sendable {
    /// Under which the answer comes back.
    package var key: RequestKey
    /// With the time that is left of its own.
    package var request: ClientRequest
    /// The leader that it is meant for. Nobody else at its address is told of it, where certificates
    /// say who is there.
    package var leader: NodeID

    package init(_ key: RequestKey, _ request: ClientRequest, to leader: NodeID) {
        self.key = key
        self.request = request
        self.leader = leader
    }
}

/// A line for the operator's log.
package struct NodeNote: Equatable, Sendable {
    /// How much an operator needs to see the line.
    package enum Level: String, Sendable {
        case debug, info, warning, error
        /// A line of the node's life that scripts wait for: shown at every level.
        case announcement
    }

    /// A value that the line names.
    package struct Detail: Equatable, Sendable {
        /// In the log's metadata.
        package var name: String
        /// As text.
        package var value: String
    }

    /// How much an operator needs to see it.
    package var level: Level
    /// Constant; what differs stands in `details`.
    package var text: String
    /// In the order in which they are shown.
    package var details: [Detail]

    /// - Parameter details: names and values, in the order in which they are shown.
    package init(
        _ level: Level, _ text: String, _ details: KeyValuePairs<String, String> = [:]
    ) {
        self.level = level
        self.text = text
        self.details = details.map { Detail(name: $0.key, value: $0.value) }
    }
}
