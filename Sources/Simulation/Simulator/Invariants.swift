import NodeLogic
import Raft
import Replication
import Time
import WriteAheadLog

/// What must hold in every history, checked at each step. It sees all nodes at once, which no node
/// can.
struct Invariants {
    /// The first thing that went wrong.
    private(set) var violation: String?

    /// Who led in a term.
    private var leaders: [Term: Leader] = [:]
    /// What an entry holds and the term of the one before it: by induction, logs that share an
    /// entry share all before it (log matching).
    private var entries: [LogPosition: EntryFacts] = [:]
    /// All that was ever committed, from index 1 on, and the term in which it became so.
    private var committed: [(term: Term, commitTerm: Term)] = []
    /// Digests of the state machine after each index from 1 on.
    private var digests: [UInt64] = []
    /// The registers after each index from 1 on.
    private var states: [[Int64]] = []
    /// The one that all nodes belong to.
    private(set) var cluster: ClusterID?
    private var votes: [Ballot: NodeID] = [:]
    /// All nodes came back from copies, and none has committed anything since.
    private var isOpen = false
    /// Through where the cluster kept what was committed before, when it came back from copies.
    private var keptCount: Int?
    private var untoldKept: LogIndex?
    /// Nodes that hold more of the time before the copies than the cluster kept.
    private var ahead: Set<Int> = []
    private var runs: [Run]

    /// Two processes may bear one identity.
    private struct Leader: Equatable {
        var identity: NodeIdentity
        var slot: Int
    }

    private struct EntryFacts: Equatable {
        var digest: UInt64
        var previousTerm: Term
    }

    private struct Ballot: Hashable {
        var voter: NodeIdentity
        var term: Term
    }

    /// What was seen of a node last.
    private struct Run {
        var number = -1
        var identity: NodeIdentity?
        var wipes = 0
        var term = Term.zero
        /// What its messages bound it to, across runs of one incarnation.
        var spokenTerm = Term.zero
        var commitIndex = LogIndex.zero
        var role = RoleName.follower
    }

    /// In milliseconds: `MachineSettings.snapshotSendTime` by the slowest clock, and a moment in
    /// which the node stood still.
    private static var longestHold: Int { 6000 * 100 / 93 + 4000 }

    init(nodeCount: Int) { runs = Array(repeating: Run(), count: nodeCount) }

    mutating func broke(_ text: String) {
        if violation == nil { violation = text }
    }

    /// What a register holds in the state after the index; nil if nobody has applied so much.
    func value(of key: Int, at index: LogIndex) -> Int64? {
        guard index > .zero else { return 0 }
        let place = Int(index.rawValue) - 1
        return place < states.count ? states[place][key] : nil
    }

    /// A quorum's disks are lost, and this is the newest log that is left: what it does not hold is
    /// gone, and the cluster is another one.
    /// - Returns: through which entry all is kept.
    mutating func forget(allBut newest: LogState) -> LogIndex {
        var count = min(committed.count, Int(newest.lastIndex.rawValue))
        while count > Int(newest.base.index.rawValue),
            newest.term(at: LogIndex(UInt64(count))) != committed[count - 1].term
        { count -= 1 }
        committed.removeLast(committed.count - count)
        digests.removeLast(max(0, digests.count - count))
        states.removeLast(max(0, states.count - count))
        cluster = nil
        return LogIndex(UInt64(count))
    }

    /// All nodes came back from copies: who led since is forgotten, and nobody knows yet what of all
    /// that was committed is kept.
    mutating func beginAgain() {
        leaders = [:]
        votes = [:]
        entries = [:]
        isOpen = true
        keptCount = nil
        ahead = []
    }

    /// Through where all is kept, once that is known.
    mutating func takeKept() -> LogIndex? {
        defer { untoldKept = nil }
        return untoldKept
    }

    /// This leader has committed an entry of its own: it decides.
    private mutating func keep(what node: SimulatedNode) {
        guard isOpen, let raft = node.machine?.replicated?.raft, raft.role == .leader,
            raft.term(at: raft.commitIndex) == raft.term
        else { return }
        isOpen = false
        var count = min(committed.count, Int(raft.lastPosition.index.rawValue))
        while count > 0, let held = raft.term(at: LogIndex(UInt64(count))),
            held != committed[count - 1].term
        { count -= 1 }
        committed.removeLast(committed.count - count)
        digests.removeLast(max(0, digests.count - count))
        states.removeLast(max(0, states.count - count))
        keptCount = count
        untoldKept = LogIndex(UInt64(count))
        for slot in runs.indices where runs[slot].commitIndex.rawValue > UInt64(count) {
            ahead.insert(slot)
        }
        ahead.remove(node.slot)
    }

    /// What it began with was committed before the copies, and is not kept.
    private func isAhead(_ node: SimulatedNode) -> Bool {
        guard let keptCount, let raft = node.machine?.replicated?.raft else { return false }
        let commitIndex = Int(raft.commitIndex.rawValue)
        guard commitIndex > keptCount else { return false }
        guard commitIndex <= committed.count else { return true }
        return [keptCount + 1, commitIndex].contains { index in
            raft.term(at: LogIndex(UInt64(index))).map { $0 != committed[index - 1].term } ?? false
        }
    }

    // MARK: Each step

    mutating func observe(_ node: SimulatedNode, at now: Int) {
        guard let sight = node.sighting else { return }
        if let own = sight.cluster {
            cluster = cluster ?? own
            if own != cluster { broke("\(node.id) is in another cluster than others") }
        }
        for hold in node.holds
        where now - hold.since > Self.longestHold && !node.isDatabaseHung {
            broke("\(node.id) holds its database for a snapshot since \(hold.since)")
        }
        guard sight.takesPart else { return }
        let (term, role, commitIndex) = (sight.term, sight.role, sight.commitIndex)
        let slot = node.slot
        if runs[slot].number != node.run { started(node, term) }
        if term < runs[slot].term { broke("\(node.id): term \(runs[slot].term) → \(term)") }
        runs[slot].term = term
        if role == .leader, runs[slot].role != .leader { elected(node, term) }
        runs[slot].role = role
        if ahead.contains(slot) { return }
        if commitIndex < runs[slot].commitIndex {
            broke("\(node.id): commitIndex \(runs[slot].commitIndex) → \(commitIndex)")
        }
        if commitIndex > runs[slot].commitIndex { advanced(node, term, commitIndex) }
        runs[slot].commitIndex = commitIndex
    }

    private mutating func started(_ node: SimulatedNode, _ term: Term) {
        let slot = node.slot
        // A disk that was lost bound nobody by what it had held; what that breaks shows elsewhere.
        if runs[slot].identity != node.identity || runs[slot].wipes != node.wipes {
            runs[slot] = Run(identity: node.identity, wipes: node.wipes)
        }
        if isAhead(node) { ahead.insert(slot) } else { ahead.remove(slot) }
        if !ahead.contains(slot) { checkDatabase(node) }
        runs[slot].number = node.run
        runs[slot].role = .follower
        runs[slot].term = term
        runs[slot].commitIndex = .zero
        if term < runs[slot].spokenTerm {
            broke("\(node.id) forgot term \(runs[slot].spokenTerm): \(term)")
        }
    }

    /// Whatever a node begins to serve from, each of its entries is accounted for.
    private mutating func checkDatabase(_ node: SimulatedNode) {
        let state = node.database.live
        guard state.position.index > .zero else { return }
        let place = Int(state.position.index.rawValue) - 1
        guard place >= digests.count || digests[place] != state.digest else { return }
        broke("\(node.id) starts on a database that nobody accounts for, at \(state.position)")
    }

    private mutating func elected(_ node: SimulatedNode, _ term: Term) {
        let leader = Leader(identity: node.identity, slot: node.slot)
        if let other = leaders[term], other != leader {
            broke("\(other.identity) and \(node.id) both lead in term \(term)")
        }
        leaders[term] = leader
        // Leader completeness: what was committed before its term is in its log.
        guard !isOpen, let last = committed.lastIndex(where: { $0.commitTerm < term }) else {
            return
        }
        let index = LogIndex(UInt64(last + 1))
        let held = node.machine?.replicated?.raft.term(at: index)
        guard held != committed[last].term else { return }
        broke("\(node.id) leads in term \(term) without committed entry \(index)")
    }

    private mutating func advanced(
        _ node: SimulatedNode, _ currentTerm: Term, _ commitIndex: LogIndex
    ) {
        keep(what: node)
        var index = runs[node.slot].commitIndex.next
        while index <= commitIndex {
            let place = Int(index.rawValue) - 1
            let term = node.machine?.replicated?.raft.term(at: index)
            if place < committed.count {
                if let term, term != committed[place].term {
                    broke("\(node.id) has \(term):\(index) committed, not \(committed[place].term)")
                }
            } else if let term {
                committed.append((term, currentTerm))
            } else {
                broke("\(node.id) has \(index) committed and forgotten")
                return
            }
            index = index.next
        }
    }

    // MARK: What nodes do

    mutating func wrote(_ new: [Entry], previousTerm: Term?, by node: NodeID) {
        var previous = previousTerm ?? .zero
        for entry in new {
            let facts = EntryFacts(digest: HistoryDigest.of(entry), previousTerm: previous)
            if let known = entries[entry.position], known != facts {
                broke("\(node) holds another \(entry.position) than others: logs don't match")
            }
            entries[entry.position] = facts
            previous = entry.term
        }
    }

    mutating func applied(
        _ entry: Entry, digest: UInt64, _ registers: [Int64], by node: SimulatedNode
    ) {
        guard !ahead.contains(node.slot) else { return }
        let place = Int(entry.index.rawValue) - 1
        if place == digests.count {
            digests.append(digest)
            states.append(registers)
        } else if place > digests.count {
            broke("\(node.id) applies \(entry.position) before anything was applied before it")
        } else if digests[place] != digest {
            broke("\(node.id) has applied something else through \(entry.position)")
        }
        if place >= committed.count || committed[place].term != entry.term {
            broke("\(node.id) applies \(entry.position), which is not committed")
        }
    }

    mutating func sent(_ message: Message, slot: Int) {
        guard !message.isPreVote else { return }
        runs[slot].spokenTerm = max(runs[slot].spokenTerm, message.term)
        let candidate: NodeID
        switch message.body {
        case .voteRequest: candidate = message.from.id
        case .voteAnswer(let answer) where answer.granted: candidate = message.to
        default: return
        }
        let ballot = Ballot(voter: message.from, term: message.term)
        if let other = votes[ballot], other != candidate {
            broke("\(message.from) votes for \(other) and \(candidate) in term \(message.term)")
        }
        votes[ballot] = candidate
    }
}
