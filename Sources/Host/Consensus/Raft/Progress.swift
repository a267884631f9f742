/// What a leader knows of one other member, and how it sends to it.
struct Progress: Equatable, Sendable {
    enum State: Equatable, Sendable {
        /// Where the logs agree is a guess: one message at a time. `isAsked`: it is out, and
        /// should it get lost, the next heartbeat asks the same question.
        case probe(isAsked: Bool)
        /// The logs agree before `nextIndex` if nothing got lost: messages follow each other
        /// without waiting for answers.
        case replicate(Inflight)
        /// The member needs entries that the log no longer holds. `retryIn` is nil while a snapshot
        /// is on its way, else the ticks to wait after one failed.
        case snapshot(retryIn: Int?)
    }

    let id: NodeID
    /// Durable on the member through here. `matchIndex < nextIndex`.
    private(set) var matchIndex = LogIndex.zero
    /// The most that it acknowledged to this leader, whether or not it holds it still.
    private(set) var acknowledged = LogPosition.zero
    /// The next entry to send.
    private(set) var nextIndex: LogIndex
    private(set) var state = State.probe(isAsked: false)
    var ticksSinceAnswer = 0
    /// The newest round it answered, and was sent.
    var answeredRound: UInt64 = 0
    var sentRound: UInt64 = 0
    /// The commitIndex it was told last.
    var sentCommitIndex = LogIndex.zero
    /// Ticks since it acknowledged more, or held all there was.
    private(set) var ticksSinceProgress = 0
    /// Ticks since a gap made the leader send entries again, and how many must pass until the next.
    /// A heartbeat may overtake large messages, and then finds a gap that is none: what is on its
    /// way would be sent again with each heartbeat, and on a slow link keep ever more waiting.
    private(set) var ticksSinceResend = 0
    private(set) var resendPause = 0
    /// Ticks since a snapshot was asked for that is on its way.
    private var snapshotTicks = 0
    /// What the last one that it installed covers, and for how many ticks more the log keeps what follows.
    private var snapshotIndex = LogIndex.zero
    private var snapshotGrace = 0
    private var arrivals = Arrivals()
    /// It denied an entry that it had acknowledged. Whether the denial was late is asked anew.
    var suspicion: Suspicion?
    /// Entries asked from disk for it; at most one such request is open.
    var fetch: Effects.LogFetch?

    struct Suspicion: Equatable, Sendable {
        /// What it had acknowledged.
        var index: LogIndex
        /// Begun after the acknowledgement: a denial that answers this round, or a later one, is no
        /// late one.
        var round: UInt64
    }

    init(id: NodeID, nextIndex: LogIndex) {
        self.id = id
        self.nextIndex = nextIndex
    }

    func maySend(within settings: RaftSettings) -> Bool {
        switch state {
        case .probe(let isAsked): !isAsked
        case .replicate(let inflight):
            inflight.messages.count < settings.maxInflightMessages
                && inflight.bytes < settings.maxInflightBytes
        case .snapshot: false
        }
    }

    var isReplicating: Bool {
        if case .replicate = state { true } else { false }
    }

    mutating func sent(_ entries: [Entry]) {
        guard let last = entries.last else { return }
        let bytes = entries.reduce(0) { $0 + $1.size }
        arrivals.sent(bytes, again: !isReplicating)
        switch state {
        case .probe:
            // nextIndex stays: heartbeats repeat the question until it is answered.
            state = .probe(isAsked: true)
        case .replicate(var inflight):
            inflight.add(last: last.index, bytes: bytes)
            state = .replicate(inflight)
            nextIndex = last.index.next
        case .snapshot:
            preconditionFailure("entries sent to \(id), which needs a snapshot")
        }
    }

    /// It said that it holds the entry durably.
    mutating func acknowledged(_ position: LogPosition) {
        if position.index > acknowledged.index { acknowledged = position }
    }

    /// The member holds everything through `index` durably.
    ///
    /// That ends a probe. To go on means to send what the probe sent once more, if this is no news of
    /// it: an answer to a heartbeat, or to a copy that was long on its way. Then it is a resending like
    /// any other.
    mutating func matched(
        through index: LogIndex, round: UInt64, base: LogIndex, _ settings: RaftSettings
    ) {
        let isNews = index > matchIndex
        if isNews {
            ticksSinceProgress = 0
            resendPause /= 2
        }
        if let suspicion, round >= suspicion.round, index >= suspicion.index {
            self.suspicion = nil
        }
        matchIndex = max(matchIndex, index)
        if isNews {
            if case .replicate(let inflight) = state {
                arrivals.arrived(rest: inflight.bytes(after: index))
            } else {
                arrivals.arrived(rest: 0)
            }
        }
        switch state {
        case .probe(let isAsked):
            if index >= nextIndex.previous, isNews || !isAsked || passesPause(settings) {
                state = .replicate(Inflight())
            }
        case .replicate(var inflight):
            inflight.free(through: matchIndex)
            state = .replicate(inflight)
        case .snapshot:
            if matchIndex >= base { state = .probe(isAsked: false) }
        }
        nextIndex = max(nextIndex, matchIndex.next)
    }

    /// What of it counts for a quorum: nothing, while it is asked whether it lost what it acknowledged.
    var countedIndex: LogIndex { suspicion == nil ? matchIndex : .zero }

    /// Whether an answer that the logs differ at `previous` can be about the present: a late one,
    /// or one about a message before the last guess, says nothing new.
    func isCurrentMismatch(at previous: LogIndex) -> Bool {
        switch state {
        case .probe: previous == nextIndex.previous && previous > matchIndex
        case .replicate: previous > matchIndex && previous < nextIndex
        case .snapshot: false
        }
    }

    /// Whether what seems lost is to be sent again now; asking counts as doing so. The pauses double
    /// until the member acknowledges more.
    mutating func mayResend(_ settings: RaftSettings) -> Bool {
        guard isReplicating else { return true }
        return passesPause(settings)
    }

    private mutating func passesPause(_ settings: RaftSettings) -> Bool {
        let longest = 4 * settings.electionTicks
        guard ticksSinceResend >= resendPause, !arrivals.mayBeOnTheirWay(limit: longest) else {
            return false
        }
        ticksSinceResend = 0
        resendPause = min(max(settings.heartbeatTicks, 2 * resendPause), longest)
        return true
    }

    /// Whether a denial of the entry at `previous` shows that the member lost what it acknowledged:
    /// it answers a question that was asked after the acknowledgement had arrived.
    func provesLoss(at previous: LogIndex, round: UInt64) -> Bool {
        suspicion.map { round >= $0.round && previous <= $0.index } ?? false
    }

    /// The member lost what follows `index`, whatever it said.
    mutating func forget(after index: LogIndex) {
        matchIndex = min(matchIndex, index)
        suspicion = nil
    }

    /// - Parameter isAsked: what was sent is known to be lost, and the next heartbeat asks.
    mutating func probe(from index: LogIndex, isAsked: Bool = false) {
        if isAsked { arrivals.lost() }
        nextIndex = max(index, matchIndex.next)
        state = .probe(isAsked: isAsked)
    }

    mutating func waitForSnapshot(retryIn: Int? = nil) {
        state = .snapshot(retryIn: retryIn)
        snapshotTicks = 0
    }

    /// It installed the snapshot through `index`, and catches up from there: for as long as that snapshot took.
    mutating func installed(through index: LogIndex) {
        snapshotIndex = index
        snapshotGrace = snapshotTicks
        snapshotTicks = 0
        ticksSinceProgress = 0
    }

    /// Through here it lacks nothing, and what follows must stay in the log, or the snapshot that it installed
    /// was for nothing. Nil: nothing must, for it needs none, or has died, or does not get on.
    func neededBehind(_ settings: RaftSettings) -> LogIndex? {
        guard snapshotGrace > 0, ticksSinceAnswer < settings.electionTicks,
            ticksSinceProgress < 10 * settings.electionTicks
        else { return nil }
        return max(matchIndex, snapshotIndex)
    }

    mutating func tick(lastIndex: LogIndex) {
        ticksSinceAnswer += 1
        ticksSinceResend += 1
        arrivals.tick()
        ticksSinceProgress = matchIndex < lastIndex ? ticksSinceProgress + 1 : 0
        if state == .snapshot(retryIn: nil) { snapshotTicks += 1 }
        if snapshotGrace > 0 { snapshotGrace -= 1 }
        if case .snapshot(let retryIn?) = state {
            state =
                retryIn > 1 ? .snapshot(retryIn: retryIn - 1) : .probe(isAsked: false)
        }
    }

    var summary: PeerProgress {
        let name: PeerProgress.State =
            switch state {
            case .probe: .probe
            case .replicate: .replicate
            case .snapshot: .snapshot
            }
        var summary = PeerProgress(
            id: id, state: name, matchIndex: matchIndex, ticksSinceAnswer: ticksSinceAnswer)
        summary.acknowledged = acknowledged
        return summary
    }
}

/// Messages with entries that a member did not answer yet, in the order they were sent.
struct Inflight: Equatable, Sendable {
    struct Sent: Equatable, Sendable {
        var last: LogIndex
        var bytes: Int
    }

    private(set) var messages: [Sent] = []
    private(set) var bytes = 0

    mutating func add(last: LogIndex, bytes: Int) {
        messages.append(Sent(last: last, bytes: bytes))
        self.bytes += bytes
    }

    func bytes(after index: LogIndex) -> Int {
        messages.drop { $0.last <= index }.reduce(0) { $0 + $1.bytes }
    }

    mutating func free(through index: LogIndex) {
        let count = messages.prefix { $0.last <= index }.count
        bytes -= messages[..<count].reduce(0) { $0 + $1.bytes }
        messages.removeFirst(count)
    }
}

/// What a leader knows of another member.
package struct PeerProgress: Equatable, Sendable {
    /// Probing for the place to go on, sending, or waiting for a snapshot.
    package enum State: String, Sendable { case probe, replicate, snapshot }
    /// The follower.
    package var id: NodeID
    /// What the leader does about it.
    package var state: State
    /// It is known to have all entries up to here durably.
    package var matchIndex: LogIndex
    /// In ticks of the core.
    package var ticksSinceAnswer: Int
    /// The last entry that it acknowledged to this leader, even if it lost it since.
    package var acknowledged = LogPosition.zero

    package init(id: NodeID, state: State, matchIndex: LogIndex, ticksSinceAnswer: Int) {
        self.id = id
        self.state = state
        self.matchIndex = matchIndex
        self.ticksSinceAnswer = ticksSinceAnswer
    }
}
