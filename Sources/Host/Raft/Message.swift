/// A node as an end of a message: its name and the data directory that speaks.
package struct NodeIdentity: Hashable, Sendable, CustomStringConvertible {
    package var id: NodeID
    package var incarnation: Incarnation

    package init(id: NodeID, incarnation: Incarnation) {
        self.id = id
        self.incarnation = incarnation
    }

    package var description: String { id.description }
}

/// A message between two members of one cluster.
package struct Message: Equatable, Sendable {
    package var cluster: ClusterID
    package var from: NodeIdentity
    package var to: NodeID
    package var term: Term
    package var body: Body

    package init(
        cluster: ClusterID, from: NodeIdentity, to: NodeID, term: Term, body: Body
    ) {
        self.cluster = cluster
        self.from = from
        self.to = to
        self.term = term
        self.body = body
    }

    package enum Body: Equatable, Sendable {
        case voteRequest(VoteRequest)
        case voteAnswer(VoteAnswer)
        case appendEntries(AppendEntries)
        case appendAnswer(AppendAnswer)
        /// Asks a transfer's target to campaign at once (thesis §3.10).
        case timeoutNow
        /// "Your term is behind": answers a message of a lower term that needs no other answer, so
        /// that a node with a higher term is not shut out for ever.
        case termIsBehind
    }

    package struct VoteRequest: Equatable, Sendable {
        /// A question whether an election could be won, which changes nothing (thesis §9.6).
        package var isPreVote: Bool
        /// The leader itself asked for this election: answer even if a leader was heard.
        package var isTransfer: Bool
        package var lastLog: LogPosition

        package init(isPreVote: Bool, isTransfer: Bool, lastLog: LogPosition) {
            self.isPreVote = isPreVote
            self.isTransfer = isTransfer
            self.lastLog = lastLog
        }
    }

    package struct VoteAnswer: Equatable, Sendable {
        package var isPreVote: Bool
        package var granted: Bool

        package init(isPreVote: Bool, granted: Bool) {
            self.isPreVote = isPreVote
            self.granted = granted
        }
    }

    /// Entries, or none: then it is a heartbeat or a probe.
    package struct AppendEntries: Equatable, Sendable {
        /// The entry right before the first one sent.
        package var previous: LogPosition
        package var entries: [Entry]
        package var commitIndex: LogIndex
        /// Counts the leader's rounds; the answer repeats it. A quorum that answered a round proves
        /// leadership at its start (ReadIndex, thesis §6.4).
        package var round: UInt64

        package init(
            previous: LogPosition, entries: [Entry], commitIndex: LogIndex, round: UInt64
        ) {
            self.previous = previous
            self.entries = entries
            self.commitIndex = commitIndex
            self.round = round
        }
    }

    package struct AppendAnswer: Equatable, Sendable {
        package enum Result: Equatable, Sendable {
            /// The log holds everything through `matchIndex`, durably.
            case matched(through: LogIndex)
            /// The log differs at or before `previous`. `hint` is the last position that may still
            /// match: the last one not after `previous` whose term is no later than its term.
            case mismatched(previous: LogIndex, hint: LogPosition)
        }

        package var result: Result
        package var round: UInt64

        package init(result: Result, round: UInt64) {
            self.result = result
            self.round = round
        }
    }
}
