import Chance
import Cluster
import NodeLogic
import PeerProtocol
import Raft
import Registry
import Replication
import Service

/// A cluster of production machines and logs in one process, on a simulated network, clock, disk and
/// registry: one seed, one history, from the founding on.
///
/// In the safety phase faults of all kinds happen and the invariants must hold. In the liveness
/// phase the faults stop, nodes that a majority can spare stay away, and the others must elect a
/// leader, commit, agree and be ready within a bound. At the end the clients' histories are judged.
package final class Simulation {
    /// Indirect: it is moved into the queue and out again, and the largest are some hundred bytes.
    indirect enum Event {
        case node(slot: Int, run: Int, NodeStep)
        case arrive(Message, at: PeerAddress, from: Int, run: Int)
        case unreachable(slot: Int, run: Int, NodeID)
        case submit(slot: Int, ClientRequest, RequestOrigin)
        case call(Int, CallStep)
        case forward(from: Int, run: Int, [ForwardedRequest], to: PeerAddress)
        case forwardRefused(slot: Int, run: Int, [RequestKey])
        case forwardReply(slot: Int, run: Int, RequestKey, Outcome)
        case registry(slot: Int, run: Int, RegistryStep)
        case stream(Int, SimulatedTransfer.Step)
        case candidates(slot: Int, run: Int, [PeerAddress])
        case restart(slot: Int)
        case mend(slot: Int)
        case keepCopies
        case loss(Loss, slot: Int, tries: Int)
        case overdue(slot: Int, run: Int)
        case fault
        case heal(Ailment)
        case flap(from: Int, to: Int, remaining: Int)
        case clientActs(Int)
        case clientHears(Int, HeardAnswer)
        case hangUp(operation: Int, slot: Int, run: Int)
        case operatorActs
        case ambush(leader: Int, lost: Int)
        case startAnew(slot: Int, run: Int)
        case falseSnapshot(slot: Int, run: Int, SnapshotReceiptID)
        case lookedUp(slot: Int, run: Int, host: String, CandidateNames.Answer)
        case strike(slot: Int, run: Int, losingPower: Bool)
    }

    enum CallStep {
        case arrives
        case answered(PeerAnswer)
        case fails(PeerFailure)
    }

    enum RegistryStep {
        case serves(RegistryRequest, RegistryRequestID)
        case answers(RegistryRequest, RegistryRequestID, RegistryReply)
        case watched(RegistryWatchOutcome)
    }

    /// A fault that ends.
    enum Ailment {
        case partition
        case slowDisk(Int)
        case fullDisk(Int)
        case hungDisk(Int)
        case registry
    }

    /// A question of one node to another that is not answered yet.
    struct Call {
        var caller: Int
        var run: Int
        var id: PeerCallID
        var request: PeerRequest
        var address: PeerAddress
        /// Nil: whoever is there.
        var wanted: NodeIdentity?
    }

    let settings: SimulationSettings
    var random: SplitMix64
    var queue = EventQueue<Event>()
    var now = 0
    var network: SimulatedNetwork
    var registry = SimulatedRegistry()
    var nodes: [SimulatedNode] = []
    var invariants: Invariants
    var conduct: Conduct
    var faults = FaultCounts()
    var clients: Clients
    let founding: Founding
    var boots: [RandomID] = []
    var calls: [Int: Call] = [:]
    var lastCall = 0
    var lastAttack = 0
    /// Faults that were due so far.
    var lastFault = 0
    var transfers: [Int: SimulatedTransfer] = [:]
    var lastTransfer = 0
    /// What a sender of a snapshot takes for each chunk.
    var chunkPause = 0
    var lastAddress = 0
    /// Until when a node stands still.
    var pausedUntil: [Int]
    /// A node that lost its data, or may have, and is not a member again yet.
    var lostSlot: Int?
    /// Whose data those were.
    var lostIncarnation: Incarnation?
    /// What was done to it.
    var damage = Damage.lost
    /// How bad the network was before the truce.
    var weather: SimulatedNetwork?
    /// The disks of a quorum are lost, and it is not recovered yet.
    var quorumLoss: QuorumLoss?
    /// When the operator takes care of it.
    var recoveryBegins = 0
    var isCalm = false
    /// Nodes that stay away in the liveness phase.
    var absent: Set<Int> = []
    /// Nodes that are gone for good, or a copy of another that does not run now.
    var retired: Set<Int> = []
    /// The second process of an identity, while the first is alive.
    var doubled: Int? {
        didSet { doubledAt = now }
    }
    /// When there was a second process last.
    var doubledAt = -2000
    /// The last of the large entries that a flood left in the leader's log.
    var floodedThrough = LogIndex.zero
    /// What was acknowledged, or committed, may be gone by what was done to the cluster.
    var toleratesLoss = false
    /// Before that a node is not started again.
    var startsFrom: [Int]
    private var trace: UInt64 = 0
    private var steps = 0

    /// Draws the cluster's plan from the seed; nothing runs yet.
    package init(_ settings: SimulationSettings) {
        self.settings = settings
        random = SplitMix64(seed: settings.seed &* 0x9E37_79B9 &+ 1)
        founding = Founding(&random, nodeCount: settings.nodeCount)
        let count = founding.nodeCount
        // One place more, for a copy of a node.
        network = SimulatedNetwork(count: count + 1)
        invariants = Invariants(nodeCount: count + 1)
        conduct = Conduct(nodeCount: count + 1)
        pausedUntil = Array(repeating: 0, count: count)
        startsFrom = Array(repeating: 0, count: count + 1)
        clients = Clients(count: 4)
        for slot in 0..<count {
            nodes.append(
                SimulatedNode(
                    slot: slot, address: PeerAddress("10.0.0.\(slot + 1):4002"),
                    mutation: settings.mutation, random: &random))
            boots.append(RandomID(high: random.next(), low: random.next()))
        }
        let addresses = nodes.map(\.address)
        for node in nodes { founding.instruct(node, addresses) }
    }

    /// Plays the whole history, to be called once: first with faults, then without, then it judges.
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
        schedule(.keepCopies, in: random.within(1500...4000))
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
        case .node(let slot, let run, let step):
            guard isPresent(slot, run, or: event) else { return }
            nodes[slot].handle(step, at: now)
            settle(slot)
        case .arrive(let message, let address, let sender, let run):
            arrive(message, at: address, from: sender, run: run)
        case .unreachable(let slot, let run, let peer): tell(slot, run, .unreachable(peer), event)
        case .submit(let slot, let request, let origin): submit(request, from: origin, at: slot)
        case .call(let number, let step): self.step(call: number, step)
        case .forward(let slot, let run, let requests, let address):
            forwarded(requests, to: address, from: slot, run)
        case .forwardRefused(let slot, let run, let keys):
            tell(slot, run, .forwardRefused(keys), event)
        case .forwardReply(let slot, let run, let key, let outcome):
            guard isPresent(slot, run, or: event) else { return }
            forwardReplied(key, outcome, at: slot)
        case .registry(let slot, let run, let step):
            guard isPresent(slot, run, or: event) else { return }
            self.step(registry: step, slot, run)
        case .stream(let number, let step): self.step(stream: number, step)
        case .candidates(let slot, let run, let addresses):
            tell(slot, run, .candidates(Candidates(addresses)), event)
        case .restart(let slot): restart(slot)
        case .mend(let slot): mend(slot)
        case .keepCopies: keepCopies()
        case .loss(let loss, let slot, let tries): attempt(loss, slot, tries: tries)
        case .overdue(let slot, let run): overdue(slot, run)
        case .fault: causeFault()
        case .heal(let ailment): heal(ailment)
        case .flap(let sender, let receiver, let remaining): flap(sender, receiver, remaining)
        case .clientActs(let client): act(client)
        case .clientHears(let operation, let verdict): hear(operation, verdict)
        case .hangUp(let operation, let slot, let run): hangUp(operation, at: slot, run: run)
        case .operatorActs: operate()
        case .ambush(let leader, let lost): spring(leader: leader, lost: lost)
        case .startAnew(let slot, let run): startAnew(slot, run)
        case .falseSnapshot(let slot, let run, let receipt):
            bringFalseSnapshot(receipt, to: slot, run)
        case .lookedUp(let slot, let run, let host, let answer):
            tell(slot, run, .nameLookedUp(host, answer), event)
        case .strike(let slot, let run, let losingPower):
            if nodes[slot].run == run { stop(slot, losingPower: losingPower) }
        }
    }

    /// Whether the node's run is still the same. One that stands still meets the event later.
    func isPresent(_ slot: Int, _ run: Int, or event: Event) -> Bool {
        nodes[slot].run == run && nodes[slot].isUp && !isPostponed(slot, event)
    }

    /// A node that stands still does everything later.
    func isPostponed(_ slot: Int, _ event: Event) -> Bool {
        guard pausedUntil[slot] > now else { return false }
        queue.schedule(event, at: pausedUntil[slot])
        return true
    }

    /// Hands the machine an event, if its run goes on.
    func tell(_ slot: Int, _ run: Int, _ news: NodeEvent, _ event: Event) {
        guard isPresent(slot, run, or: event) else { return }
        nodes[slot].post(news)
        settle(slot)
    }

    // MARK: What nodes ask for

    /// Carries out what the node's step gave rise to, and looks at the node.
    func settle(_ slot: Int) {
        let node = nodes[slot]
        // First what it is now, then what it says: what it committed comes before it applies it.
        if let breach = conduct.observe(node, isExact: !toleratesLoss) { invariants.broke(breach) }
        invariants.observe(node, at: now)
        if let kept = invariants.takeKept() { settleRestoration(kept) }
        reviewCopy(node)
        if slot == lostSlot { reviewLoss(node) }
        while !node.output.isEmpty {
            var output = node.spareOutput
            node.spareOutput = []
            swap(&output, &node.output)
            for item in output { perform(item, of: node) }
            output.removeAll(keepingCapacity: true)
            node.spareOutput = output
        }
        if let sight = node.sighting {
            let (term, commitIndex) = (sight.term.rawValue, sight.commitIndex.rawValue)
            trace = HistoryDigest.combine(trace, UInt64(now) << 8 | UInt64(slot))
            trace = HistoryDigest.combine(trace, term << 32 | commitIndex)
        }
    }

    private func perform(_ output: NodeOutput, of node: SimulatedNode) {
        switch output {
        case .after(let delay, let step):
            schedule(.node(slot: node.slot, run: node.run, step), in: delay)
        case .send(let message, let address): send(message, to: address, from: node)
        case .answer(let origin, let outcome): answer(origin, outcome, from: node)
        case .forward(let requests, let address): forward(requests, to: address, from: node)
        case .call(let id, let request, let address, let wanted, let timeout):
            call(id, request, at: address, of: wanted, timeout, from: node)
        case .answerPeer(let question, let answer): answerPeer(question, answer, from: node)
        case .askRegistry(let request, let id, let timeout):
            askRegistry(request, id, timeout, from: node)
        case .watchRegistry(let token, let timeout): watchRegistry(token, timeout, from: node)
        case .lookUp(let host): lookUp(host, for: node)
        case .preparedSnapshot: strikeInstallation(of: node)
        case .sendSnapshot(let id, let offer, let state, let address, let peer):
            sendSnapshot(id, offer, state, to: address, peer, from: node)
        case .cancelSnapshot(let id): cancelSnapshot(id, from: node)
        case .answerOffer(let id, let refusal): answerOffer(id, refusal, from: node)
        case .stopReceiving(let id): stopReceiving(id, from: node)
        case .snapshotDone(let id, let problem): snapshotDone(id, problem, from: node)
        case .said(let note): said(note, by: node)
        case .stateChanged(let change): changed(change, of: node)
        case .refused(let identity, let cause): refused(identity, cause, by: node)
        case .died(let reason): died(node, reason)
        case .left: left(node)
        case .stopped: stopped(node)
        case .wrote(let entries, let previousTerm):
            conduct.wrote(entries)
            invariants.wrote(entries, previousTerm: previousTerm, by: node.id)
        case .applied(let entry, let digest, let registers):
            invariants.applied(entry, digest: digest, registers, by: node)
        case .confirmed(let asked):
            if let breach = conduct.confirmed(node, asked: asked) { invariants.broke(breach) }
        case .broke(let text): invariants.broke(text)
        }
    }

    /// - Parameter text: made only if somebody follows the history.
    func tell(_ text: @autoclosure () -> String) {
        guard let narrator = settings.narrator else { return }
        narrator("\(now) \(text())")
    }

    private func said(_ note: NodeNote, by node: SimulatedNode) {
        tell(
            "\(node.id) \(note.text) "
                + note.details.map { "\($0.name)=\($0.value)" }.joined(separator: " "))
        switch note.text {
        case "role changed" where note.details.first?.value == "leader": faults.elections += 1
        case "stepped down as leader" where note.details.first?.value == "removed":
            faults.removedLeaders += 1
        case "leadership transfer finished": faults.transfers += 1
        case "snapshot not sent": faults.snapshotsFailed += 1
        case let text where text.hasPrefix("successfully reaped"): faults.reapings += 1
        default: break
        }
        guard note.level == .error else { return }
        switch note.text {
        case "node failed": break
        case "received snapshot is unusable": break
        case "snapshot refused: the peer is broken or hostile" where faults.falseOffers > 0: break
        default:
            let details = note.details.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
            invariants.broke("\(node.id) says: \(note.text) \(details)")
        }
    }

    private func changed(_ change: NodeStateChange, of node: SimulatedNode) {
        guard case .troubled(let reason) = change.change else { return }
        tell("\(node.id) \(change.kind.text) \(change.subject): \(reason)")
        faults.troubles += 1
        switch change.kind {
        case .removed: faults.removals += 1
        case .logStalled: faults.stalls += 1
        case .noLeader: faults.leaderless += 1
        case .followerSilent: faults.silences += 1
        case .peerBrokeProtocol: break
        case .entriesLost where isTruce || toleratesLoss,
            .followerLostEntries where isTruce || toleratesLoss:
            faults.agesNoticed += 1
        case .historyDiffers where toleratesLoss: obeyRestored(node, reason)
        // What was asked before the second process ended is answered a little later.
        case .directoryInUseTwice where doubled != nil || now < doubledAt + 2000: break
        // It stands by the time before the copies.
        case .memberDiffers where toleratesLoss, .quarantined where toleratesLoss: break
        default:
            guard change.kind.isError else { return }
            invariants.broke("\(node.id) says: \(change.kind.text) \(change.subject): \(reason)")
        }
    }

    /// Members that keep to the protocol send nothing that another would refuse.
    private func refused(_ peer: NodeIdentity, _ cause: String, by node: SimulatedNode) {
        if !toleratesLoss { faults.messagesRefused += 1 }
        guard faults.messagesRefused > faults.messagesSpoilt, !toleratesLoss else { return }
        invariants.broke("\(node.id) refuses \(peer.id): \(cause)")
    }

    /// The node that lost its data is again what it wants to be.
    private func reviewLoss(_ node: SimulatedNode) {
        if case .old(let index) = damage { return reviewAge(node, index) }
        guard let raft = node.machine?.replicated?.raft, raft.membershipIndex <= raft.commitIndex,
            let member = raft.membership[node.id], member.suffrage != .learner,
            member.incarnation == node.identity.incarnation,
            node.identity.incarnation != lostIncarnation
        else { return }
        lostSlot = nil
        faults.promotions += 1
    }
}
