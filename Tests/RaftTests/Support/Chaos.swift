@testable import Raft
import Chance

/// A cluster under random faults: messages get lost, repeated and reordered, disks are slow, nodes
/// crash and lose what was not durable, members come and go. What must hold is checked after every
/// step; the first violation is kept.
struct Chaos {
    private(set) var cluster: TestCluster
    private var random: SplitMix64
    /// Messages on their way.
    private var pool: [Message] = []
    private(set) var violation: String?

    private struct Commitment {
        var entry: Entry
        /// The term it was known as committed in, at the latest.
        var term: Term
    }

    /// By index, from 2: the first entry is the bootstrap's.
    private var commitments: [Commitment] = []
    private var leaders: [Term: NodeIdentity] = [:]
    private var votes: [Ballot: NodeID] = [:]
    private var applied: [LogIndex]
    private var terms: [Term]
    /// What was committed when a read was asked for.
    private var reads: [LogIndex] = []
    private(set) var elections = 0
    private(set) var crashes = 0
    private(set) var confirmedReads = 0
    private var commands = 0
    private var wiped: Int?

    private struct Ballot: Hashable {
        var voter: NodeIdentity
        var term: Term
    }

    static let nodeCount = 5

    /// Some messages arrive once more with a number that no node may name.
    private let isSpoilt: Bool
    private var forger: Forger
    private(set) var refusals = 0

    init(seed: UInt64, isSpoilt: Bool = false) {
        self.isSpoilt = isSpoilt
        forger = Forger(seed: seed)
        random = SplitMix64(seed: seed)
        var settings = RaftSettings()
        settings.electionTicks = 6
        settings.heartbeatTicks = 2
        settings.quorumTicks = 6
        settings.maxMessageEntries = 3
        settings.maxInflightMessages = 3
        settings.maxCachedBytes = 200
        settings.maxUncommittedBytes = 1000
        settings.caughtUpEntries = 3
        cluster = TestCluster(settings: settings)
        let membership = Membership((1...3).map { member($0) })
        for node in 1...Self.nodeCount {
            cluster.add(
                node, disk: node <= 3 ? .bootstrapped(membership) : TestDisk(),
                seed: random.next())
            cluster.nodes[node - 1].hasSlowDisk = true
        }
        applied = cluster.nodes.map(\.appliedIndex)
        terms = cluster.nodes.map(\.raft.term)
    }

    var committedCount: Int { commitments.count }

    mutating func run(steps: Int) {
        for _ in 0..<steps where violation == nil {
            step()
            check()
        }
    }

    // MARK: Faults and work

    private mutating func chance(_ percent: Int) -> Bool { random.within(0...99) < percent }
    private mutating func anyNode() -> Int { random.within(0...Self.nodeCount - 1) }
    private mutating func anyLeader() -> Int? {
        let places = cluster.nodes.indices.filter {
            cluster.nodes[$0].raft.role == .leader && !cluster.nodes[$0].isDown
        }
        return places.isEmpty ? nil : places[random.within(0...places.count - 1)]
    }

    private mutating func step() {
        switch random.within(0...999) {
        case 0..<550: deliver()
        case 550..<720: tick(anyNode())
        case 720..<880:
            let place = anyNode()
            let count = 1 + random.within(0...2)
            if !cluster.nodes[place].isDown { cluster.persist(place, count: count) }
        case 880..<930: propose()
        case 930..<955: read()
        case 955..<962: crash(anyNode())
        case 962..<974: restart(anyNode())
        case 974..<978: transfer()
        case 978..<988: changeMembership()
        case 988..<993: compact(anyNode())
        case 993..<997: partition()
        default: wipe()
        }
        pool += cluster.network
        checkSent()
        cluster.network = []
    }

    private mutating func deliver() {
        guard !pool.isEmpty else { return tick(anyNode()) }
        let place = random.within(0...min(pool.count - 1, chance(10) ? .max : 3))
        let message = pool[place]
        if !chance(5) { pool.remove(at: place) }
        if pool.count > 200 { pool.removeFirst(50) }
        if isSpoilt, forger.chance(10) { cluster.deliver(forger.spoiled(message)) }
        if !chance(5) { cluster.deliver(message) }
    }

    private mutating func tick(_ place: Int) {
        guard !cluster.nodes[place].isDown else { return }
        cluster.nodes[place].raft.tick()
        cluster.drain(place)
    }

    private mutating func propose() {
        guard let place = anyLeader() else { return }
        commands += 1
        let batch = (0...random.within(0...2)).map { Array("\(commands)-\($0)".utf8) }
        do {
            let first = try cluster.nodes[place].raft.propose(batch)
            if cluster.nodes[place].raft.lastPosition.index.distance(from: first.index)
                != batch.count - 1
            {
                violation = "a batch does not end at the last entry"
            }
        } catch {
            if case .entryTooLarge = error { violation = "\(error)" }
        }
        cluster.drain(place)
    }

    private mutating func read() {
        guard let place = anyLeader() else { return }
        let id = ReadID(UInt64(reads.count))
        reads.append(LogIndex(UInt64(commitments.count + 1)))
        do { try cluster.nodes[place].raft.requestRead(id) } catch { reads.removeLast() }
        cluster.drain(place)
    }

    private mutating func crash(_ place: Int) {
        guard !cluster.nodes[place].isDown, cluster.nodes.count(where: \.isDown) < 2 else { return }
        crashes += 1
        cluster.nodes[place].isDown = true
        // Of the writes under way a prefix reached the disk; nobody was told.
        let survivors = random.within(0...cluster.nodes[place].writes.count)
        for write in cluster.nodes[place].writes.prefix(survivors) {
            cluster.nodes[place].disk.write(write)
        }
        let done = cluster.nodes[place].appliedIndex
        let lost = random.within(0...done.distance(from: cluster.nodes[place].disk.base.index))
        let kept = LogIndex(done.rawValue - UInt64(lost))
        cluster.nodes[place].disk.appliedIndex = max(cluster.nodes[place].disk.base.index, kept)
    }

    private mutating func restart(_ place: Int) {
        guard cluster.nodes[place].isDown else { return }
        applied[place] = cluster.nodes[place].disk.appliedIndex
        // A term that was not durable was never told to anybody, which `checkSent` proves.
        terms[place] = cluster.nodes[place].disk.hardState.term
        cluster.restart(place, seed: random.next())
    }

    private mutating func transfer() {
        guard let place = anyLeader() else { return }
        try? cluster.nodes[place].raft.transferLeadership(to: nil)
        cluster.drain(place)
    }

    private mutating func changeMembership() {
        guard let place = anyLeader() else { return }
        let membership = cluster.nodes[place].raft.membership
        // With a wiped member there is no voter to spare: it goes first.
        let stranger = membership.members.contains(where: isGone) ? wiped : nil
        let node = (stranger ?? anyNode()) + 1
        let present = cluster.nodes[node - 1].identity
        let suffrage: Suffrage = chance(80) ? .voter : .nonvoter
        let change: MembershipChange =
            if let known = membership[present.id] {
                known.incarnation == present.incarnation && membership.voters.count < 3
                    ? .move(present.id, to: PeerAddress("moved:\(commands)"))
                    : .remove(present.id)
            } else {
                .add(
                    Member(
                        id: present.id, incarnation: present.incarnation,
                        address: PeerAddress("a"), suffrage: suffrage))
            }
        _ = try? cluster.nodes[place].raft.propose(change)
        cluster.drain(place)
    }

    private mutating func compact(_ place: Int) {
        let node = cluster.nodes[place]
        guard !node.isDown, node.appliedIndex > node.disk.base.index else { return }
        let count = node.appliedIndex.distance(from: node.disk.base.index)
        let index = LogIndex(node.appliedIndex.rawValue - UInt64(random.within(0...count - 1)))
        cluster.nodes[place].disk.compact(through: index)
        cluster.nodes[place].disk.appliedIndex = max(node.disk.appliedIndex, index)
        cluster.nodes[place].raft.compacted(through: cluster.nodes[place].disk.base)
        cluster.drain(place)
    }

    private mutating func partition() {
        cluster.cuts = []
        guard chance(60) else { return }
        for from in 1...Self.nodeCount {
            for to in 1...Self.nodeCount where chance(25) {
                cluster.cuts.insert([nodeID(from), nodeID(to)])
            }
        }
    }

    /// One node at a time loses its disk, and stays a stranger until it is removed and added.
    private mutating func wipe() {
        if let wiped {
            let id = cluster.nodes[wiped].identity
            let isBack = cluster.nodes.contains {
                $0.raft.isReadyLeader && $0.raft.membership[id.id]?.incarnation == id.incarnation
                    && $0.raft.membership.isVoter(id.id)
            }
            if isBack { self.wiped = nil }
            return
        }
        let place = anyNode()
        guard canLoseOne else { return }
        let old = cluster.nodes[place].identity.incarnation.id.low
        cluster.add(
            place + 1, incarnation: Int(old) + 1, disk: TestDisk(), seed: random.next())
        cluster.nodes[place].hasSlowDisk = true
        applied[place] = .zero
        terms[place] = .zero
        wiped = place
    }

    /// Without this node's disk there is a quorum still, in every membership that any log holds.
    private var canLoseOne: Bool {
        let memberships = cluster.nodes.map(\.raft.membership).filter { !$0.members.isEmpty }
        return !cluster.nodes.contains(where: \.isDown)
            && memberships.allSatisfy { $0 == memberships[0] && $0.voters.count >= 3 }
            && cluster.nodes.contains {
                $0.raft.isReadyLeader && $0.raft.membershipIndex <= $0.raft.commitIndex
            }
    }

    // MARK: What must hold

    private mutating func check() {
        for place in cluster.nodes.indices where !cluster.nodes[place].isDown {
            let raft = cluster.nodes[place].raft
            if raft.term < terms[place] { violation = "\(place + 1): its term went back" }
            terms[place] = raft.term
            guard raft.role == .leader, leaders[raft.term] != raft.identity else { continue }
            if let other = leaders[raft.term] {
                violation = "\(other) and \(raft.identity) both lead in term \(raft.term)"
            }
            leaders[raft.term] = raft.identity
            elections += 1
            checkCompleteness(of: raft)
        }
        checkCommitted()
        checkReads()
        checkRefusals()
    }

    /// Members that keep to the protocol send nothing that another would refuse.
    private mutating func checkRefusals() {
        for (node, observation) in cluster.observations {
            guard case .messageRefused(let from, let reason) = observation else { continue }
            refusals += 1
            if !isSpoilt { violation = "\(node) refused a message of \(from): \(reason)" }
        }
        cluster.observations = []
    }

    private mutating func checkCompleteness(of raft: RaftMachine) {
        for commitment in commitments where commitment.term < raft.term {
            let index = commitment.entry.index
            let isHeld = raft.log.term(at: index) == commitment.entry.term
            if !isHeld && index > raft.log.base.index {
                violation = "leader \(raft.identity) of \(raft.term) lacks \(commitment.entry)"
            }
        }
    }

    private mutating func checkCommitted() {
        for (node, entries) in cluster.committed {
            guard let place = cluster.nodes.firstIndex(where: { $0.identity.id == node }) else {
                continue
            }
            for entry in entries {
                // A snapshot covers what is missing.
                if entry.index != applied[place].next
                    && entry.index <= cluster.nodes[place].disk.base.index
                {
                    violation = "\(node) applied \(entry.index) after \(applied[place])"
                }
                applied[place] = entry.index
                record(entry, in: cluster.nodes[place].raft.term)
            }
        }
        cluster.committed = []
    }

    private mutating func record(_ entry: Entry, in term: Term) {
        let place = Int(entry.index.rawValue) - 2
        guard place >= 0 else { return }
        if place < commitments.count {
            if commitments[place].entry != entry {
                violation = "\(entry.text) committed, before \(commitments[place].entry.text)"
            }
        } else if place == commitments.count {
            commitments.append(Commitment(entry: entry, term: term))
        } else {
            violation = "\(entry.text) committed before \(commitments.count + 2)"
        }
    }

    private mutating func checkReads() {
        for (node, read) in cluster.confirmed {
            confirmedReads += 1
            if read.index < reads[Int(read.id.rawValue)] {
                violation =
                    "\(node) read at \(read.index) what was committed through "
                    + "\(reads[Int(read.id.rawValue)])"
            }
        }
        cluster.confirmed = []
    }

    private mutating func checkSent() {
        for message in cluster.network {
            guard let node = cluster.nodes.first(where: { $0.identity == message.from }) else {
                continue
            }
            let isPreVote =
                switch message.body {
                case .voteRequest(let request): request.isPreVote
                case .voteAnswer(let answer): answer.isPreVote
                default: false
                }
            if !isPreVote && message.term > node.disk.hardState.term {
                violation = "sent before its term was durable: \(message.text)"
            }
            switch message.body {
            case .voteAnswer(let answer) where answer.granted && !answer.isPreVote:
                let ballot = Ballot(voter: message.from, term: message.term)
                if let earlier = votes[ballot], earlier != message.to {
                    violation = "\(message.from) voted for \(earlier) and \(message.to)"
                }
                votes[ballot] = message.to
            case .appendAnswer(let answer):
                // Within one term what was acknowledged is not discarded again.
                if case .matched(let through) = answer.result, message.term == node.raft.term,
                    through > node.disk.lastIndex
                {
                    violation = "acknowledged before it was durable: \(message.text)"
                }
            default: break
            }
        }
    }

    // MARK: Afterwards

    /// Two logs that hold an entry of the same index and term are equal up to it.
    mutating func checkLogMatching() {
        for a in cluster.nodes {
            for b in cluster.nodes {
                var mustMatch = false
                for entry in a.disk.entries.reversed() {
                    guard let other = b.disk.entry(at: entry.index) else { continue }
                    if other.term == entry.term { mustMatch = true }
                    if mustMatch && other != entry {
                        violation = "\(a.identity) and \(b.identity) differ at \(entry.index)"
                    }
                }
            }
        }
    }

    /// All faults end: the members elect a leader and catch up with it, and it commits.
    mutating func settle() {
        cluster.cuts = []
        for place in cluster.nodes.indices {
            restart(place)
            cluster.nodes[place].hasSlowDisk = false
            cluster.persist(place)
        }
        for _ in 0..<200 where violation == nil {
            for place in cluster.nodes.indices { tick(place) }
            pool += cluster.network
            cluster.network = []
            while !pool.isEmpty {
                cluster.deliver(pool.removeFirst())
                checkSent()
                pool += cluster.network
                cluster.network = []
            }
            check()
            if isSettled { return }
        }
        if violation == nil {
            violation = "not settled: " + cluster.nodes.map(\.text).joined(separator: "; ")
        }
    }

    private var isSettled: Bool {
        guard let leader = cluster.nodes.first(where: { $0.raft.isReadyLeader })?.raft,
            leader.commitIndex == leader.lastPosition.index,
            !leader.membership.members.contains(where: { $0.suffrage == .learner && !isGone($0) })
        else { return false }
        return leader.membership.members.allSatisfy { member in
            isGone(member)
                || cluster.nodes.contains {
                    $0.identity.id == member.id && $0.appliedIndex == leader.commitIndex
                }
        }
    }

    /// Its disk was wiped.
    private func isGone(_ member: Member) -> Bool {
        !cluster.nodes.contains {
            $0.identity == NodeIdentity(id: member.id, incarnation: member.incarnation)
        }
    }
}

extension TestNode {
    fileprivate var text: String {
        "\(identity) \(raft.role) term=\(raft.term) last=\(raft.lastPosition) "
            + "commit=\(raft.commitIndex) applied=\(appliedIndex) \(raft.membership.text)"
    }
}
