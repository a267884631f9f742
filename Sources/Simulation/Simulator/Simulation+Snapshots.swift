import Chance
import NodeLogic
import PeerProtocol
import Raft

/// Snapshots as streams of chunks: an offer, its answer, the bytes, and the receiver's word that it
/// has installed them. Each step may find an end of the connection gone.
extension Simulation {
    private static var chunkBytes: Int { 400 }
    private static var decisionTime: Int { 5000 }

    func sendSnapshot(
        _ id: SnapshotSendID, _ offer: SnapshotOffer, _ state: ModelState,
        to address: PeerAddress?, _ peer: NodeID, from node: SimulatedNode
    ) {
        lastTransfer += 1
        let transfer = SimulatedTransfer(
            sender: node.slot, senderRun: node.run, id: id, offer: offer, state: state,
            address: address ?? PeerAddress(""), peer: peer)
        transfers[lastTransfer] = transfer
        guard let address, let owner = owner(of: address),
            let delay = delay(from: node.slot, to: owner.slot)
        else { return lose(lastTransfer, "unreachable", within: 1...500) }
        // By then another node may lead.
        let isLate = !isCalm && random.chance(1, of: 6)
        let wait = isLate ? random.within(500...4000) : 0
        schedule(.stream(lastTransfer, .offer), in: delay + wait)
    }

    func step(stream number: Int, _ step: SimulatedTransfer.Step) {
        guard let transfer = transfers[number] else { return }
        let event = Event.stream(number, step)
        switch step {
        case .offer: offer(number, transfer, event)
        case .undecided:
            guard !transfer.isAccepted else { return }
            forgetReceipt(of: transfer)
            lose(number, "this node did not decide in time", within: 1...50)
        case .chunk: chunk(number, transfer, event)
        case .done(let problem):
            guard isAtSender(transfer, event) else { return }
            transfers[number] = nil
            let result = problem.map { Result.failure(PeerFailure(cause: $0)) } ?? .success(())
            nodes[transfer.sender].post(.snapshot(.sent(transfer.id, result)))
            settle(transfer.sender)
        case .senderLost(let cause):
            guard isAtSender(transfer, event) else { return }
            transfers[number] = nil
            nodes[transfer.sender].post(
                .snapshot(.sent(transfer.id, .failure(PeerFailure(cause: cause)))))
            settle(transfer.sender)
        case .receiverLost(let cause):
            guard let node = receiver(of: transfer), let receipt = transfer.receipt else { return }
            guard !isPostponed(node.slot, event) else { return }
            node.failReceipt(receipt, cause)
            settle(node.slot)
        }
    }

    private func isAtSender(_ transfer: SimulatedTransfer, _ event: Event) -> Bool {
        isPresent(transfer.sender, transfer.senderRun, or: event)
    }

    private func receiver(of transfer: SimulatedTransfer) -> SimulatedNode? {
        guard let slot = transfer.receiver, nodes[slot].isUp,
            nodes[slot].run == transfer.receiverRun
        else { return nil }
        return nodes[slot]
    }

    private func forgetReceipt(of transfer: SimulatedTransfer) {
        guard let node = receiver(of: transfer), let receipt = transfer.receipt else { return }
        node.forgetReceipt(receipt)
    }

    /// The sender learns that it came to nothing.
    private func lose(_ number: Int, _ cause: String, within delay: ClosedRange<Int>) {
        schedule(.stream(number, .senderLost(cause)), in: random.within(delay))
    }

    /// The connection is gone: each end learns it in its own time.
    private func breakOff(_ number: Int, _ cause: String) {
        faults.streamsBroken += 1
        schedule(.stream(number, .receiverLost(cause)), in: random.within(1...400))
        lose(number, cause, within: 401...3000)
    }

    // MARK: The stream

    private func offer(_ number: Int, _ transfer: SimulatedTransfer, _ event: Event) {
        guard let node = owner(of: transfer.address), node.isUp, node.id == transfer.peer else {
            return lose(number, "connection refused", within: 1...50)
        }
        guard !isPostponed(node.slot, event) else { return }
        let receipt = node.beginReceipt(transfer.offer)
        transfers[number]?.receiver = node.slot
        transfers[number]?.receiverRun = node.run
        transfers[number]?.receipt = receipt
        schedule(.stream(number, .undecided), in: Self.decisionTime)
        settle(node.slot)
    }

    private func number(at node: SimulatedNode, _ receipt: SnapshotReceiptID) -> Int? {
        transfers.first {
            $0.value.receiver == node.slot && $0.value.receiverRun == node.run
                && $0.value.receipt == receipt
        }?.key
    }

    func answerOffer(
        _ receipt: SnapshotReceiptID, _ refusal: String?, from node: SimulatedNode
    ) {
        if refusal == nil, node.takesInAnother(than: receipt) {
            invariants.broke("\(node.id) takes in a snapshot while another one comes in")
        }
        node.decideReceipt(receipt, isAccepted: refusal == nil)
        guard let number = number(at: node, receipt), let transfer = transfers[number] else {
            // What a stranger offers goes on by itself.
            if node.isForeign(receipt) { return }
            // The sender has gone meanwhile, which the receiver learns as the end of the stream.
            if refusal == nil { node.failReceipt(receipt, "connection lost") }
            return
        }
        if let refusal {
            faults.offersRefused += 1
            node.forgetReceipt(receipt)
            return lose(number, refusal, within: 1...50)
        }
        transfers[number]?.isAccepted = true
        let others = transfers.values.filter {
            $0.receiver == transfer.receiver && $0.receiverRun == transfer.receiverRun
                && $0.isAccepted && !$0.isComplete && $0.sender != transfer.sender
        }
        if !others.isEmpty { faults.streamsOverlapping += 1 }
        guard let delay = delay(from: node.slot, to: transfer.sender) else {
            return breakOff(number, "connection lost")
        }
        ambushStream(number, transfer)
        schedule(.stream(number, .chunk), in: delay)
    }

    /// The leader stands still in the middle of the stream, for so long that another is elected.
    private func ambushStream(_ number: Int, _ transfer: SimulatedTransfer) {
        guard !isCalm, !isTruce, random.chance(1, of: 6) else { return }
        faults.pauses += 1
        transfers[number]?.isAmbushed = true
        pausedUntil[transfer.sender] = now + random.within(1500...3000)
    }

    private func chunk(_ number: Int, _ transfer: SimulatedTransfer, _ event: Event) {
        guard let node = receiver(of: transfer), let receipt = transfer.receipt else {
            return lose(number, "connection lost", within: 1...2000)
        }
        guard !isPostponed(node.slot, event) else { return }
        let sender = nodes[transfer.sender]
        guard sender.run == transfer.senderRun else {
            transfers[number] = nil
            node.failReceipt(receipt, "connection lost")
            return settle(node.slot)
        }
        guard node.hasReceipt(receipt) else { return }
        if !isCalm, random.chance(1, of: 40) {
            return breakOff(number, random.chance(1, of: 2) ? "connection lost" : "no space left")
        }
        faults.chunks += 1
        if node.write(Self.chunkBytes, of: transfer.state, to: receipt) {
            transfers[number]?.isComplete = true
            return settle(node.slot)
        }
        guard let delay = delay(from: sender.slot, to: node.slot, size: Self.chunkBytes) else {
            return breakOff(number, "nothing moved for too long")
        }
        schedule(
            .stream(number, .chunk),
            in: delay + random.within(0...(transfer.isAmbushed ? 800 : chunkPause)))
    }

    /// Something happens while a received snapshot takes the place of the database: an error of the
    /// log's disk, which must name the new file, or the end of the process or of the power.
    func strikeInstallation(of node: SimulatedNode) {
        guard !isCalm, !isTruce, random.chance(1, of: 3) else { return }
        faults.installationsStruck += 1
        switch random.below(5) {
        case 0: node.disk.plan(.ioError, atStep: node.disk.stepCount + random.below(8))
        case 1: node.disk.plan(.noSpace, atStep: node.disk.stepCount + random.below(8))
        case 2: node.disk.plan(.death, atStep: node.disk.stepCount + random.below(8))
        default:
            schedule(
                .strike(
                    slot: node.slot, run: node.run, losingPower: random.chance(1, of: 2)),
                in: random.within(0...120))
        }
    }

    // MARK: Ends

    func snapshotDone(
        _ receipt: SnapshotReceiptID, _ problem: String?, from node: SimulatedNode
    ) {
        guard let number = number(at: node, receipt), let transfer = transfers[number] else {
            return
        }
        guard let delay = delay(from: node.slot, to: transfer.sender) else {
            return lose(number, "no word of the installation", within: 500...3000)
        }
        schedule(.stream(number, .done(problem: problem)), in: delay)
    }

    func stopReceiving(_ receipt: SnapshotReceiptID, from node: SimulatedNode) {
        faults.streamsStopped += 1
        node.forgetReceipt(receipt)
        guard let number = number(at: node, receipt) else { return }
        lose(number, "it is not wanted any more", within: 1...50)
    }

    func cancelSnapshot(_ id: SnapshotSendID, from node: SimulatedNode) {
        faults.streamsCancelled += 1
        let found = transfers.first {
            $0.value.sender == node.slot && $0.value.senderRun == node.run && $0.value.id == id
        }
        guard let (number, transfer) = found else { return }
        // The machine waits for no word of it any more.
        transfers[number] = nil
        guard !transfer.isComplete, let receiver = receiver(of: transfer),
            let receipt = transfer.receipt
        else { return }
        receiver.failReceipt(receipt, "the sender gave up")
        settle(receiver.slot)
    }

    /// The node's process is about to end: the other ends of its streams learn it.
    func breakStreams(of node: SimulatedNode) {
        for number in transfers.keys.sorted() {
            guard let transfer = transfers[number] else { continue }
            if transfer.sender == node.slot, transfer.senderRun == node.run {
                transfers[number] = nil
                guard !transfer.isComplete, let receiver = receiver(of: transfer),
                    let receipt = transfer.receipt
                else { continue }
                receiver.failReceipt(receipt, "connection lost")
                settle(receiver.slot)
            } else if transfer.receiver == node.slot, transfer.receiverRun == node.run {
                lose(number, "connection lost", within: 1...2000)
            }
        }
    }
}
