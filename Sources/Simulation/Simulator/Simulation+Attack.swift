import Chance
import Cluster
import NodeLogic
import PeerProtocol
import Raft
import Replication
import Service

/// What hostile peers say beside messages, and clients that hang up.
extension Simulation {
    /// Somebody who is no member speaks to the node, or a member that is broken.
    func attack(_ node: SimulatedNode) {
        faults.attacks += 1
        let stranger = NodeIdentity(
            id: NodeID("stranger"),
            incarnation: Incarnation(RandomID(high: 0xBAD, low: random.next())))
        switch random.below(8) {
        case 0: ask(.join(falseJoin(stranger)), of: node, as: stranger)
        case 1, 2:
            // It is refused once, as a message is.
            faults.messagesSpoilt += 1
            faults.falseFormations += 1
            ask(.formation(falseFormation(stranger)), of: node, as: stranger)
        case 3: ask(random.chance(1, of: 2) ? .seed : .checksums, of: node, as: stranger)
        case 4, 5: offerFalsely(to: node)
        default:
            lastAttack += 1
            let receipt = SnapshotReceiptID(1 << 40 + UInt64(lastAttack))
            node.post(.snapshot(.offered(receipt, falseOffer(stranger.id))))
        }
    }

    /// Nobody waits for the answer.
    private func ask(_ request: PeerRequest, of node: SimulatedNode, as caller: NodeIdentity) {
        lastAttack += 1
        let question = PeerQuestionID(1 << 40 + UInt64(lastAttack))
        node.post(.peerAsked(question, request, PeerCaller(identity: caller, remoteAddress: "")))
    }

    /// What no program writes that keeps to the format, or numbers at their end.
    private func falseFormation(_ stranger: NodeIdentity) -> [UInt8] {
        let introduction = FormationIntroduction(
            identity: stranger, address: PeerAddress("x:1"), suffrage: .voter, expect: 3)
        let last = Ballot(counter: .max, proposer: stranger.incarnation)
        let list = CandidateList(expect: 3, entries: [])
        let question = FormationMessage.prepare(last, list, from: introduction).encoded()
        switch random.below(6) {
        case 5: return question
        case 0: return [255] + (0..<random.below(60)).map { _ in UInt8(random.below(256)) }
        case 1: return Array(question.prefix(random.below(question.count)))
        case 2: return question + [0]
        case 3: return [1, 99]
        // A length that its bytes don't have.
        default: return Array(question.prefix(2)) + Array(repeating: 255, count: 24)
        }
    }

    /// A snapshot in the name of the leader, or of another member, that is not what it says: too
    /// short, too long, or no database at all.
    private func offerFalsely(to node: SimulatedNode) {
        guard let raft = node.machine?.replicated?.raft, let cluster = node.machine?.cluster,
            node.receipts.allSatisfy({ $0.state == nil })
        else { return }
        faults.falseOffers += 1
        let sender = random.chance(1, of: 2) ? raft.leader : random.pick(nodes)?.id
        let index = raft.lastPosition.index.advanced(by: random.within(1...100))
        let mark = SnapshotMark(
            position: LogPosition(index: index, term: raft.term), membership: raft.membership,
            membershipIndex: raft.membershipIndex)
        let offer = SnapshotOffer(
            cluster: cluster,
            id: SnapshotID(sender: sender ?? node.id, generation: 1, index: index), mark: mark,
            byteCount: UInt64(random.within(0...4000)), term: raft.term)
        let receipt = node.beginReceipt(offer, isForeign: true)
        schedule(
            .falseSnapshot(slot: node.slot, run: node.run, receipt), in: random.within(20...1500))
    }

    /// It arrives, or breaks off.
    func bringFalseSnapshot(_ receipt: SnapshotReceiptID, to slot: Int, _ run: Int) {
        let node = nodes[slot]
        let event = Event.falseSnapshot(slot: slot, run: run, receipt)
        guard isPresent(slot, run, or: event), node.hasReceipt(receipt) else { return }
        if random.chance(1, of: 2) {
            node.completeFalsely(receipt)
        } else {
            node.failReceipt(receipt, "the stream is longer than it said")
        }
        settle(slot)
    }

    /// Under a name that nobody bears, or a member's, at an address where another answers or nobody.
    private func falseJoin(_ stranger: NodeIdentity) -> JoinRequest {
        let member = nodes[random.below(nodes.count)]
        let id = random.chance(1, of: 2) ? stranger.id : member.id
        let address =
            random.chance(1, of: 2) ? nodes[random.below(nodes.count)].address : PeerAddress("x:1")
        return JoinRequest(
            identity: NodeIdentity(id: id, incarnation: stranger.incarnation), address: address,
            apiURL: nil, suffrage: .voter, cluster: nil, run: nil)
    }

    /// Past all that there can be.
    private func falseOffer(_ sender: NodeID) -> SnapshotOffer {
        let far = LogIndex(random.chance(1, of: 2) ? .max : 1 << 62 + 1)
        let mark = SnapshotMark(
            position: LogPosition(index: far, term: Term(.max)), membership: Membership(),
            membershipIndex: far)
        return SnapshotOffer(
            cluster: invariants.cluster ?? ClusterID(RandomID(high: 0, low: 0)),
            id: SnapshotID(sender: sender, generation: .max, index: far), mark: mark,
            byteCount: .max, term: Term(.max))
    }

    /// What a broken member tells of itself and of who asks.
    func spoilt(_ answer: PeerAnswer) -> PeerAnswer {
        guard !isCalm, case .hello(var hello) = answer, random.chance(1, of: 100) else {
            return answer
        }
        faults.attacks += 1
        hello.term = Term(.max)
        hello.commitIndex = LogIndex(.max)
        hello.callerAcknowledged = LogPosition(index: LogIndex(.max), term: Term(.max))
        return .hello(hello)
    }

    /// The client of the operation hangs up: nobody waits for the answer any more.
    func hangUp(_ operation: Int, at slot: Int, run: Int) {
        let node = nodes[slot]
        guard node.isUp, node.run == run else { return }
        guard let key = node.open.first(where: { $0.value == .client(operation) })?.key else {
            return
        }
        faults.hangUps += 1
        node.hangUp(key)
        hear(operation, .unknown)
        settle(slot)
    }
}
