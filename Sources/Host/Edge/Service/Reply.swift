package import Raft
package import Wire

/// The answer to a `ClientRequest`, or a part of it: then more replies follow under the same ID, in
/// their order, until a part says that it is the last, or a failure ends them.
package struct Reply: Sendable {
    /// Of the request that is answered.
    package var id: RequestID
    /// What came of it.
    package var outcome: Outcome
    /// Set when another node did the work: its Raft address.
    package var servedBy: PeerAddress?
    /// What the answer has seen of the cluster's history; nil where it has not looked at it.
    package var sight: ReadSight?

    package init(
        id: RequestID, outcome: Outcome, servedBy: PeerAddress? = nil, sight: ReadSight? = nil
    ) {
        self.id = id
        self.outcome = outcome
        self.servedBy = servedBy
        self.sight = sight
    }
}

/// Every answer there is; the HTTP edge makes documents and statuses of them.
package enum Outcome: Sendable {
    case results(CommandResult)
    /// What an earlier write under the same key was answered; nothing was done.
    case repeated(CommandResult)
    /// An earlier write under the same key took effect at this index; its answer was too large to be
    /// kept. Nothing was done.
    case doneBefore(LogIndex)
    /// Results come in parts, to sinks that take them: about `ResultWindow.bytes` of them by
    /// themselves, all others as they are asked for (`NodeService.demand`).
    case part(ResultPart)
    /// Removal or transfer of leadership took place.
    case done
    /// There was nothing to do.
    case unchanged
    case nodes([NodeDescription])
    case leader(NodeDescription)
    case readiness(Readiness)
    case limits(WriteLimits)
    case failed(ServiceError)
}

extension Outcome {
    /// No other reply follows.
    package var isLast: Bool {
        if case .part(let part) = self { part.isLast } else { true }
    }
}

/// Why a request was not served. One table at the HTTP edge turns each case into status and text.
package enum ServiceError: Error, Equatable, Sendable {
    /// Another node leads, and the client did not want the request sent on. The URL is the
    /// leader's HTTP API, when known.
    case notLeader(leaderURL: String?)
    /// No leader became known within the request's time. The text says what is missing, for the
    /// operator; it may be empty.
    case noLeader(waitingFor: String)
    /// The node is starting, stopping, or still receiving its first snapshot.
    case notReady(String)
    /// Leadership was lost while the entry was on its way: whether it takes effect is unknown.
    case leadershipLost
    /// The answer did not come in time; whether a write takes effect is unknown.
    case timedOut(waitingFor: String)
    /// Too much is waiting already; nothing was done.
    case busy
    case staleRead
    /// A read waited longer for the state machine than it may.
    case linearizableTimeout(index: LogIndex)
    /// Forwarding failed on the network; whether a write took effect is unknown.
    case forwardingFailed(to: PeerAddress, cause: String)
    case requestTooLarge(limit: Int)
    case transfer(Refusal)
    case membership(Refusal)
    /// The disk is full: writes wait until there is room.
    case diskFull
    /// What is asked for does not fit the state that the node is in; nothing was done. The text says
    /// why.
    case unsuitable(String)
    /// What the read must have seen is of another cluster, or of another of its histories: it can't
    /// come.
    case otherHistory(wanted: CommitMark)
    /// The node had not applied what the read must have seen, within the request's time.
    case behind(wanted: LogIndex, applied: LogIndex)
    /// Another write stands at this index under the key that the client gave. Nothing was done.
    case keyTaken(LogIndex)
    /// The node that was to carry it out grants the client no right to it. The text names the
    /// operation.
    case notAuthorized(String)
}

/// One entry of `/nodes`.
package struct NodeDescription: Equatable, Sendable {
    /// The member's name.
    package var id: NodeID
    /// Full URL of the HTTP API; nil when not known.
    package var apiURL: String?
    /// Its Raft address, as the cluster knows it.
    package var address: PeerAddress
    /// Of its program; empty if it was not reached.
    package var version: String
    /// It counts in quorums.
    package var isVoter: Bool
    /// It answered within the time of the request.
    package var isReachable: Bool
    /// It leads, as far as the node knows that was asked.
    package var isLeader: Bool
    /// How long its answer took; nil if it was not reached. Nothing for the node that was asked itself.
    package var elapsed: Duration?
    /// Why it was not reached.
    package var error: String?

    package init(
        id: NodeID, apiURL: String?, address: PeerAddress, version: String, isVoter: Bool,
        isReachable: Bool, isLeader: Bool, elapsed: Duration?, error: String?
    ) {
        self.id = id
        self.apiURL = apiURL
        self.address = address
        self.version = version
        self.isVoter = isVoter
        self.isReachable = isReachable
        self.isLeader = isLeader
        self.elapsed = elapsed
        self.error = error
    }
}

/// The result of `/readyz`, check by check, in order; the first failure ends it.
package enum Readiness: Equatable, Sendable {
    case ready(synced: Bool)
    case nodeOnly
    /// What the node waits for, for the operator.
    case noLeader(waitingFor: String)
    case leaderUnreachable(String)
    case storeNotReady(String)
    case notSynced(String)
    case databaseFailed(String)
}
