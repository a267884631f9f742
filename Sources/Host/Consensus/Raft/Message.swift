/// A node as an end of a message: its name and the data directory that speaks.
package struct NodeIdentity: Hashable, Sendable, CustomStringConvertible {
    /// The node's name.
    package var id: NodeID
    /// Of its data directory: a wiped disk has another.
    package var incarnation: Incarnation

    package init(id: NodeID, incarnation: Incarnation) {
        self.id = id
        self.incarnation = incarnation
    }

    /// Who the membership names.
    package init(member: Member) { self.init(id: member.id, incarnation: member.incarnation) }

    package var description: String { id.description }
}

/// A message between two members of one cluster.
package struct Message: Equatable, Sendable {
    /// Messages of another cluster are dropped.
    package var cluster: ClusterID
    /// Who sent it.
    package var from: NodeIdentity
    /// For whom it is.
    package var to: NodeID
    /// Of the sender when it was sent.
    package var term: Term
    /// What it says.
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

    /// The kinds of messages; docs/protocol.md says who sends which to whom, and when.
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

    /// Asks for a vote, or whether one would be given (thesis §3.4, §9.6).
    package struct VoteRequest: Equatable, Sendable {
        /// A question whether an election could be won, which changes nothing (thesis §9.6).
        package var isPreVote: Bool
        /// The leader itself asked for this election: answer even if a leader was heard.
        package var isTransfer: Bool
        /// The end of the candidate's log: only one that is as complete gets a vote (§3.6.1).
        package var lastLog: LogPosition

        package init(isPreVote: Bool, isTransfer: Bool, lastLog: LogPosition) {
            self.isPreVote = isPreVote
            self.isTransfer = isTransfer
            self.lastLog = lastLog
        }
    }

    /// The answer to a request for a vote.
    package struct VoteAnswer: Equatable, Sendable {
        /// As in the request.
        package var isPreVote: Bool
        /// The candidate has the vote, or would get it.
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
        /// Contiguous, from the one behind `previous`; none in a heartbeat.
        package var entries: [Entry]
        /// The leader's; the follower goes no further than what it has.
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

    /// The answer to entries or a heartbeat (thesis §3.5).
    package struct AppendAnswer: Equatable, Sendable {
        /// What the follower made of them.
        package enum Result: Equatable, Sendable {
            /// The log holds everything through `matchIndex`, durably.
            case matched(through: LogIndex)
            /// The log differs at or before `previous`. `hint` is the last position that may still
            /// match: the last one not after `previous` whose term is no later than its term.
            case mismatched(previous: LogIndex, hint: LogPosition)
        }

        /// What the follower made of them.
        package var result: Result
        /// As in the request: what confirms leadership for reads (§6.4).
        package var round: UInt64

        package init(result: Result, round: UInt64) {
            self.result = result
            self.round = round
        }
    }
}
