import Raft
import Replication

/// A cluster of production cores and logs in one process, on a simulated network, clock and disk:
/// one seed, one history.
///
/// In the safety phase faults of all kinds happen and the invariants must hold. In the liveness
/// phase the faults stop, nodes that a majority can spare stay away, and the others must elect a
/// leader, commit, and agree within a bound. At the end the clients' histories are judged.
package final class Simulation {
    enum Event {
        case node(slot: Int, run: Int, NodeEvent)
        case deliver(slot: Int, CoreEvent)
        case restart(slot: Int)
        case snapshotEnds(SnapshotTransfer, through: LogIndex?)
        case fault
        case heal(Ailment)
        case flap(from: Int, to: Int, remaining: Int)
        case clientActs(Int)
        case clientHears(UInt64, Outcome)
        case clientWearies(UInt64)
        case operatorActs
        case ambush(leader: Int, lost: Int)
    }

    /// A fault that ends.
    enum Ailment {
        case partition
        case slowDisk(Int)
        case fullDisk(Int)
        case hungDisk(Int)
    }

    let settings: SimulationSettings
    var random: SeededGenerator
    var queue = EventQueue<Event>()
    var now = 0
    var network: SimulatedNetwork
    var nodes: [SimulatedNode] = []
    var invariants: Invariants
    var faults = FaultCounts()
    var clients: Clients
    let bootstrap: Membership
    let initialVoters: Int
    var boots: [RandomID] = []
    /// Until when a node stands still.
    var pausedUntil: [Int]
    /// A node that lost its data, or may have, and is not a voter again yet.
    var lostSlot: Int?
    /// Whose data those were.
    var lostIncarnation: Incarnation?
    /// When the operator takes care of it.
    var recoveryBegins = 0
    var isCalm = false
    /// Nodes that stay away in the liveness phase.
    var absent: Set<Int> = []
    private var trace: UInt64 = 0
    private var steps = 0

    package init(_ settings: SimulationSettings) {
        self.settings = settings
        random = SeededGenerator(seed: settings.seed &* 0x9E37_79B9 &+ 1)
        let voters = [3, 3, 3, 3, 5, 5, 4, 2, 1][random.below(9)]
        let count = max(3, voters) + random.below(2)
        initialVoters = voters
        network = SimulatedNetwork(count: count)
        invariants = Invariants(nodeCount: count)
        pausedUntil = Array(repeating: 0, count: count)
        clients = Clients(count: 4)
        let cluster = ClusterID(RandomID(high: random.next(), low: random.next()))
        for slot in 0..<count {
            nodes.append(
                SimulatedNode(
                    slot: slot, cluster: cluster, mutation: settings.mutation, random: &random))
            boots.append(RandomID(high: random.next(), low: random.next()))
        }
        bootstrap = Membership(nodes.prefix(voters).map(\.member))
    }

    package func run() -> SimulationReport {
        begin()
        advance(through: settings.safetyMilliseconds) { false }
        if invariants.violation == nil { proveLiveness() }
        if invariants.violation == nil { judge() }
        for node in nodes {
            node.collectDiskFaults()
            faults += node.counts
        }
        return SimulationReport(
            seed: settings.seed, violation: invariants.violation, faults: faults, trace: trace,
            simulatedMilliseconds: now, steps: steps)
    }

    private func begin() {
        chooseWeather()
        for slot in nodes.indices { schedule(.restart(slot: slot), in: random.below(200)) }
        for client in 0..<clients.count {
            schedule(.clientActs(client), in: 500 + random.below(1000))
        }
        schedule(.fault, in: 800)
        schedule(.operatorActs, in: 1500)
    }

    func schedule(_ event: Event, in delay: Int) { queue.schedule(event, at: now + delay) }

    /// Steps until the time is over, something broke, or `isDone`, which is asked now and then.
    @discardableResult
    func advance(through end: Int, until isDone: () -> Bool) -> Bool {
        var nextAsked = now
        while invariants.violation == nil, let time = queue.nextTime {
            guard time <= end else {
                now = end
                return isDone()
            }
            guard let (_, event) = queue.next() else { break }
            now = max(now, time)
            steps += 1
            step(event)
            if now >= nextAsked {
                nextAsked = now + 100
                if isDone() { return true }
            }
        }
        return false
    }

    private func step(_ event: Event) {
        switch event {
        case .node(let slot, let run, let event):
            guard nodes[slot].run == run, !isPostponed(slot, .node(slot: slot, run: run, event))
            else { return }
            nodes[slot].handle(event, at: now)
            settle(slot)
        case .deliver(let slot, let event):
            guard nodes[slot].isUp, !isPostponed(slot, .deliver(slot: slot, event)) else {
                return
            }
            if lostSlot != nil, case .request(let request) = event,
                request.id == ClientRequest.churnID
            {
                return
            }
            nodes[slot].post(event)
            settle(slot)
        case .restart(let slot): restart(slot)
        case .snapshotEnds(let transfer, let index):
            guard nodes[transfer.sender].run == transfer.run else { return }
            nodes[transfer.sender].post(.snapshotSent(transfer, through: index))
            settle(transfer.sender)
        case .fault: causeFault()
        case .heal(let ailment): heal(ailment)
        case .flap(let sender, let receiver, let remaining): flap(sender, receiver, remaining)
        case .clientActs(let client): act(client)
        case .clientHears(let id, let outcome): hear(id, outcome)
        case .clientWearies(let id): hear(id, .unknown)
        case .operatorActs: operate()
        case .ambush(let leader, let lost): spring(leader: leader, lost: lost)
        }
    }

    /// A node that stands still does everything later.
    private func isPostponed(_ slot: Int, _ event: Event) -> Bool {
        guard pausedUntil[slot] > now else { return false }
        queue.schedule(event, at: pausedUntil[slot])
        return true
    }

    // MARK: What nodes ask for

    /// Carries out what the node's step gave rise to, and looks at the node.
    func settle(_ slot: Int) {
        let node = nodes[slot]
        // First what it is now, then what it says: what it committed comes before it applies it.
        invariants.observe(node)
        let output = node.output
        node.output.removeAll(keepingCapacity: true)
        for item in output { perform(item, of: node) }
        if let raft = node.replicated?.raft {
            trace = Digest.combine(trace, UInt64(now) << 8 | UInt64(slot))
            trace = Digest.combine(trace, raft.term.rawValue << 32 | raft.commitIndex.rawValue)
        }
    }

    private func perform(_ output: NodeOutput, of node: SimulatedNode) {
        switch output {
        case .after(let delay, let event):
            schedule(.node(slot: node.slot, run: node.run, event), in: delay)
        case .send(let message):
            invariants.sent(message, slot: node.slot)
            carry(message, from: node.slot)
        case .answer(let id, let outcome): answer(id, outcome)
        case .snapshot(let peer, let state, let transfer): stream(state, transfer, to: peer)
        case .snapshotDone(let transfer, let index):
            let isLost = network.isCut(from: node.slot, to: transfer.sender)
            schedule(
                .snapshotEnds(transfer, through: isLost ? nil : index), in: random.within(1...30))
        case .died(let reason): died(node, reason)
        case .wrote(let entries, let previousTerm):
            invariants.wrote(entries, previousTerm: previousTerm, by: node.id)
        case .applied(let entry, let digest):
            invariants.applied(entry, digest: digest, by: node.id)
        case .saw(let observation): saw(observation, at: node)
        case .broke(let text): invariants.broke(text)
        }
    }

    private func saw(_ observation: Observation, at node: SimulatedNode) {
        switch observation {
        case .roleChanged(.leader, _): faults.elections += 1
        case .entriesDiscarded: faults.entriesDiscarded += 1
        case .steppedDown(.removed): faults.removedLeaders += 1
        case .membershipCommitted(let membership, _):
            guard node.slot == lostSlot, let member = membership[node.id],
                member.suffrage == .voter, member.incarnation == node.identity.incarnation
            else { return }
            lostSlot = nil
            faults.promotions += 1
        case .storageStalled(true): faults.stalls += 1
        case .messageRefused(let from, let reason):
            faults.messagesRefused += 1
            if faults.messagesRefused > faults.messagesSpoilt {
                invariants.broke("\(node.id) refused a message of \(from): \(reason)")
            }
        case .snapshotRefused(let mark, let reason):
            invariants.broke("\(node.id) refused a snapshot at \(mark.position): \(reason)")
        case .followerLostEntries(let peer, let acknowledged, _):
            invariants.broke("\(peer) lost entry \(acknowledged), says \(node.id)")
        default: break
        }
    }

    private func carry(_ message: Message, from sender: Int) {
        guard let receiver = slot(of: message.to) else { return }
        let delays = network.delays(
            from: sender, to: receiver, random: &random, faults: &faults)
        for delay in delays {
            schedule(.deliver(slot: receiver, .message(claimed(message, by: receiver))), in: delay)
        }
        if !isCalm, random.chance(1, of: 1000) {
            // A node of another cluster speaks to this one.
            faults.messagesForeign += 1
            var foreign = message
            foreign.cluster = ClusterID(RandomID(high: 0, low: 0))
            foreign.term = Term(message.term.rawValue + 1000)
            schedule(.deliver(slot: receiver, .message(foreign)), in: random.below(50))
        }
        if !isCalm, random.chance(1, of: 500) {
            // A broken member says what no member can.
            faults.messagesSpoilt += 1
            schedule(
                .deliver(slot: receiver, .message(spoilt(message))), in: random.below(50))
        }
    }

    /// The message with a number past all that there can be.
    private func spoilt(_ message: Message) -> Message {
        var message = message
        let last = random.chance(1, of: 2) ? UInt64.max : .max - random.next() >> 2
        switch message.body {
        case .appendEntries(var append) where random.chance(1, of: 2):
            let entry = Entry(index: LogIndex(last), term: message.term, payload: .noop)
            switch random.below(3) {
            case 0: append.previous.index = entry.index
            case 1: append.commitIndex = entry.index
            default: append.entries.append(entry)
            }
            message.body = .appendEntries(append)
        case .appendAnswer(var answer) where random.chance(1, of: 2):
            answer.result = .matched(through: LogIndex(last))
            message.body = .appendAnswer(answer)
        case .voteRequest(var request) where random.chance(1, of: 2):
            request.lastLog.index = LogIndex(last)
            message.body = .voteRequest(request)
        default: message.term = Term(last)
        }
        return message
    }

    /// The message as a receiver that breaks a rule understands it.
    private func claimed(_ message: Message, by receiver: Int) -> Message {
        var message = message
        if settings.mutation == .ignoresIncarnations,
            let member = nodes[receiver].replicated?.raft.membership[message.from.id]
        {
            message.from.incarnation = member.incarnation
        }
        if settings.mutation == .votesForStaleLogs, case .voteRequest(var request) = message.body {
            request.lastLog.term = message.term
            message.body = .voteRequest(request)
        }
        return message
    }

    private func stream(_ state: ModelState, _ transfer: SnapshotTransfer, to peer: NodeID) {
        let delay = random.within(20...400)
        schedule(.snapshotEnds(transfer, through: nil), in: isCalm ? 3000 : 6000)
        guard let receiver = slot(of: peer), !network.isCut(from: transfer.sender, to: receiver),
            isCalm || !random.chance(1, of: 5)
        else { return schedule(.snapshotEnds(transfer, through: nil), in: delay) }
        schedule(.deliver(slot: receiver, .snapshotReceived(state, transfer)), in: delay)
    }

    func slot(of id: NodeID) -> Int? { nodes.firstIndex { $0.id == id } }
}
