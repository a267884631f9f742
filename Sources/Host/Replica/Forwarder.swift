import Raft
import Service
import Synchronization
import Time
import Transport

/// Sends requests on to the leader and hands the replies back to where the requests came from. A
/// request is never sent twice: only one that the other node refused as "not leader", and so did
/// not touch, goes back to the core.
final class Forwarder: ReplySink {
    private struct Sent {
        var pending: PendingRequest
        var address: PeerAddress
    }

    private let transport: Transport
    private let mailbox: Mailbox<CoreEvent>
    private struct State {
        var lastID: UInt64 = 0
        var table: [RequestID: Sent] = [:]
        /// What this turn of the core sends, by destination.
        var gathered: [PeerAddress: [ClientRequest]] = [:]
    }

    private let sent = Mutex(State())

    init(transport: Transport, mailbox: Mailbox<CoreEvent>) {
        self.transport = transport
        self.mailbox = mailbox
    }

    /// Takes the request; `flush` sends it.
    func add(_ pending: PendingRequest, to address: PeerAddress, now: MonotonicTime) {
        var request = pending.request
        request.forward = false
        request.timeout = max(.milliseconds(1), pending.deadline - now)
        sent.withLock { state in
            state.lastID += 1
            request.id = RequestID(state.lastID)
            state.table[request.id] = Sent(pending: pending, address: address)
            state.gathered[address, default: []].append(request)
        }
    }

    /// Nothing waits for another node's answer.
    var isIdle: Bool { sent.withLock(\.table.isEmpty) }

    func flush() {
        let gathered = sent.withLock { state in
            defer { state.gathered.removeAll(keepingCapacity: true) }
            return state.gathered
        }
        for (address, requests) in gathered {
            transport.forward(requests, to: address, sink: self) { [weak self] requests, _ in
                self?.takeBack(requests)
            }
        }
    }

    func deliver(_ replies: [Reply]) {
        let paired = sent.withLock { state in
            replies.map { ($0, state.table.removeValue(forKey: $0.id)) }
        }
        for case (let reply, let sent?) in paired {
            if case .failed(.notLeader) = reply.outcome {
                mailbox.post(.retry(sent.pending))
                continue
            }
            var back = reply
            back.id = sent.pending.target.id
            back.servedBy = reply.servedBy ?? sent.address
            sent.pending.target.sink.deliver([back])
        }
    }

    /// These never left this node: they may still find another way.
    private func takeBack(_ requests: [ClientRequest]) {
        let back = sent.withLock { state in
            requests.compactMap { state.table.removeValue(forKey: $0.id)?.pending }
        }
        for pending in back { mailbox.post(.retry(pending)) }
    }

    /// Answers what waits beyond its time; the other node's own limit comes first as a rule.
    func expire(now: MonotonicTime) {
        let late = sent.withLock { state in
            let late = state.table.filter { now - $0.value.pending.deadline > .seconds(1) }
            for id in late.keys { state.table[id] = nil }
            return late.values
        }
        for sent in late {
            let target = sent.pending.target
            let error = ServiceError.timedOut(waitingFor: "the leader at \(sent.address)")
            target.sink.deliver([Reply(id: target.id, outcome: .failed(error))])
        }
    }
}
