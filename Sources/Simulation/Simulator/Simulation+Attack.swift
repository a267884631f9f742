import Chance
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
        lastAttack += 1
        let stranger = NodeIdentity(
            id: NodeID("stranger"),
            incarnation: Incarnation(RandomID(high: 0xBAD, low: random.next())))
        let caller = PeerCaller(identity: stranger, remoteAddress: "")
        // Nobody waits for the answers.
        let question = PeerQuestionID(1 << 40 + UInt64(lastAttack))
        switch random.below(4) {
        case 0: node.post(.peerAsked(question, .join(falseJoin(stranger)), caller))
        case 1:
            // It is refused once, as a message is.
            faults.messagesSpoilt += 1
            let bytes = (0..<random.below(60)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            node.post(.peerAsked(question, .formation([255] + bytes), caller))
        default:
            let receipt = SnapshotReceiptID(1 << 40 + UInt64(lastAttack))
            node.post(.snapshot(.offered(receipt, falseOffer(stranger.id))))
        }
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
