import Raft
import Replication

/// A replicated log whose shell is the test: effects lie here until the test looks at them.
struct Fixture {
    var log: ReplicatedLog
    private(set) var effects: [ReplicationEffect] = []
    /// What was written, where the fixture writes.
    private var disk: [Entry] = []

    static let cluster = ClusterID(RandomID(high: 1, low: 1))

    static func member(_ id: String, _ suffrage: Suffrage = .voter) -> Member {
        Member(
            id: NodeID(id), incarnation: Incarnation(RandomID(high: 2, low: UInt64(id.count))),
            address: PeerAddress("\(id):4002"), suffrage: suffrage)
    }

    /// Node "a" of the cluster.
    init(
        voters: [String], log restored: RestoredState? = nil,
        settings: ReplicationSettings = ReplicationSettings(),
        raft change: (inout RaftSettings) -> Void = { _ in }
    ) {
        let membership = Membership(voters.map { Self.member($0) })
        var state = restored ?? RestoredState()
        state.membership = membership
        state.appliedMembership = membership
        var raft = RaftSettings()
        raft.electionTicks = 10
        raft.heartbeatTicks = 1
        raft.quorumTicks = 10
        raft.stallTicks = 20
        change(&raft)
        log = ReplicatedLog(
            raft: RaftMachine(
                identity: NodeIdentity(id: NodeID("a"), incarnation: Self.member("a").incarnation),
                cluster: Self.cluster, settings: raft, restored: state, seed: 1),
            restored: state, settings: settings)
    }

    /// The only voter, leading, with its first entry applied.
    static func leader(settings: ReplicationSettings = ReplicationSettings()) -> Fixture {
        var fixture = Fixture(voters: ["a"], settings: settings)
        fixture.log.campaign()
        fixture.settle()
        return fixture
    }

    /// Takes the effects since the last time.
    mutating func take() -> [ReplicationEffect] {
        log.takeEffects()
    }

    /// Writes and applies all that is asked for, until nothing is. Gathers the effects.
    mutating func settle() {
        while true {
            let new = log.takeEffects()
            guard !new.isEmpty else { return }
            effects += new
            for effect in new {
                switch effect {
                case .persist(let write): self.write(write)
                case .fetchLog(let fetch): answer(fetch)
                case .apply(let batch):
                    log.applied(through: batch.entries[batch.entries.count - 1].index)
                default: break
                }
            }
        }
    }

    /// What lies on the disk at a start.
    mutating func find(_ entries: [Entry]) { disk = entries }

    /// The write is durable.
    mutating func write(_ write: LogWrite) {
        if let first = write.entries.first { disk.removeAll { $0.index >= first.index } }
        disk += write.entries
        log.persisted(write.ticket)
    }

    /// Two entries at a time, whatever is asked for.
    mutating func answer(_ fetch: Effects.LogFetch) {
        log.fetched(Array(disk.filter { $0.index >= fetch.from }.prefix(2)), for: fetch)
    }

    /// Node "a" wins an election with the vote of "b".
    mutating func elect() {
        log.campaign()
        for isPreVote in [true, false] {
            settle()
            let from = Self.member("b")
            log.receive([
                Message(
                    cluster: Self.cluster,
                    from: NodeIdentity(id: from.id, incarnation: from.incarnation),
                    to: NodeID("a"), term: Term(1),
                    body: .voteAnswer(.init(isPreVote: isPreVote, granted: true)))
            ])
        }
        settle()
    }

    /// A message of another node.
    mutating func hear(_ body: Message.Body, from id: String = "b", term: UInt64) {
        let from = Self.member(id)
        log.receive([
            Message(
                cluster: Self.cluster,
                from: NodeIdentity(id: from.id, incarnation: from.incarnation), to: NodeID("a"),
                term: Term(term), body: body)
        ])
    }

    /// Messages of the leader "b".
    mutating func hear(
        term: UInt64, previous: LogPosition = .zero, entries: [Entry] = [], commit: UInt64 = 0
    ) {
        let from = Self.member("b")
        log.receive([
            Message(
                cluster: Self.cluster,
                from: NodeIdentity(id: from.id, incarnation: from.incarnation), to: NodeID("a"),
                term: Term(term),
                body: .appendEntries(
                    .init(
                        previous: previous, entries: entries, commitIndex: LogIndex(commit),
                        round: 1)))
        ])
    }
}

func entry(_ index: UInt64, term: UInt64) -> Entry {
    Entry(index: LogIndex(index), term: Term(term), payload: .command([UInt8(index)]))
}

extension [ReplicationEffect] {
    var observations: [Observation] {
        compactMap { if case .observe(let observation) = $0 { observation } else { nil } }
    }
    var refused: [ProposalID: Refusal] {
        var all: [ProposalID: Refusal] = [:]
        for case .refused(let id, let refusal) in self { all[id] = refusal }
        return all
    }
    var writes: [LogWrite] {
        compactMap { if case .persist(let write) = $0 { write } else { nil } }
    }
    var sent: [Message] {
        flatMap { effect -> [Message] in
            if case .send(let messages) = effect { messages } else { [] }
        }
    }
    var batches: [ApplyBatch] {
        compactMap { if case .apply(let batch) = $0 { batch } else { nil } }
    }
    var discarded: [ProposalID] {
        flatMap { effect -> [ProposalID] in
            if case .discarded(let ids) = effect { ids } else { [] }
        }
    }
    /// What this node says it holds.
    var acknowledged: [LogIndex] {
        sent.compactMap { message in
            guard case .appendAnswer(let answer) = message.body,
                case .matched(let through) = answer.result
            else { return nil }
            return through
        }
    }
}
