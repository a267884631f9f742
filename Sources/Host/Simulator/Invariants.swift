import Raft
import Replication

/// What must hold in every history, checked at each step. It sees all nodes at once, which no node
/// can.
struct Invariants {
    /// The first thing that went wrong.
    private(set) var violation: String?

    /// Who led in a term.
    private var leaders: [Term: NodeIdentity] = [:]
    /// What an entry holds and the term of the one before it: by induction, logs that share an
    /// entry share all before it (log matching).
    private var entries: [LogPosition: EntryFacts] = [:]
    /// All that was ever committed, from index 1 on, and the term in which it became so.
    private var committed: [(term: Term, commitTerm: Term)] = []
    /// Digests of the state machine after each index from 1 on.
    private var digests: [UInt64] = []
    private var votes: [Ballot: NodeID] = [:]
    private var runs: [Run]

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
        var term = Term.zero
        /// What its messages bound it to, across runs of one incarnation.
        var spokenTerm = Term.zero
        var commitIndex = LogIndex.zero
        var role = RoleName.follower
    }

    init(nodeCount: Int) { runs = Array(repeating: Run(), count: nodeCount) }

    mutating func broke(_ text: String) {
        if violation == nil { violation = text }
    }

    var lastCommitted: LogIndex { LogIndex(UInt64(committed.count)) }

    // MARK: Each step

    mutating func observe(_ node: SimulatedNode) {
        guard let raft = node.replicated?.raft else { return }
        let slot = node.slot
        if runs[slot].number != node.run { started(node, raft) }
        if raft.term < runs[slot].term {
            broke("\(node.id): term \(runs[slot].term) → \(raft.term)")
        }
        runs[slot].term = raft.term
        let role = raft.role
        if role == .leader, runs[slot].role != .leader { elected(node, raft) }
        runs[slot].role = role
        let commitIndex = raft.commitIndex
        if commitIndex < runs[slot].commitIndex {
            broke("\(node.id): commitIndex \(runs[slot].commitIndex) → \(commitIndex)")
        }
        if commitIndex > runs[slot].commitIndex { advanced(node, raft) }
        runs[slot].commitIndex = commitIndex
    }

    private mutating func started(_ node: SimulatedNode, _ raft: Raft) {
        let slot = node.slot
        if runs[slot].identity != node.identity { runs[slot] = Run(identity: node.identity) }
        runs[slot].number = node.run
        runs[slot].role = .follower
        runs[slot].term = raft.term
        runs[slot].commitIndex = .zero
        if raft.term < runs[slot].spokenTerm {
            broke("\(node.id) forgot term \(runs[slot].spokenTerm): \(raft.term)")
        }
    }

    private mutating func elected(_ node: SimulatedNode, _ raft: Raft) {
        if let other = leaders[raft.term], other != node.identity {
            broke("\(other) and \(node.id) both lead in term \(raft.term)")
        }
        leaders[raft.term] = node.identity
        // Leader completeness: what was committed before its term is in its log.
        guard let last = committed.lastIndex(where: { $0.commitTerm < raft.term }) else { return }
        let index = LogIndex(UInt64(last + 1))
        let held = raft.term(at: index)
        guard held != committed[last].term else { return }
        broke("\(node.id) leads in term \(raft.term) without committed entry \(index)")
    }

    private mutating func advanced(_ node: SimulatedNode, _ raft: Raft) {
        var index = runs[node.slot].commitIndex.next
        while index <= raft.commitIndex {
            let place = Int(index.rawValue) - 1
            let term = raft.term(at: index)
            if place < committed.count {
                if let term, term != committed[place].term {
                    broke("\(node.id) has \(term):\(index) committed, not \(committed[place].term)")
                }
            } else if let term {
                committed.append((term, raft.term))
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
            let facts = EntryFacts(digest: Digest.of(entry), previousTerm: previous)
            if let known = entries[entry.position], known != facts {
                broke("\(node) holds another \(entry.position) than others: logs don't match")
            }
            entries[entry.position] = facts
            previous = entry.term
        }
    }

    mutating func applied(_ entry: Entry, digest: UInt64, by node: NodeID) {
        let place = Int(entry.index.rawValue) - 1
        if place == digests.count {
            digests.append(digest)
        } else if place > digests.count {
            broke("\(node) applies \(entry.position) before anything was applied before it")
        } else if digests[place] != digest {
            broke("\(node) has applied something else through \(entry.position)")
        }
        if place >= committed.count || committed[place].term != entry.term {
            broke("\(node) applies \(entry.position), which is not committed")
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
