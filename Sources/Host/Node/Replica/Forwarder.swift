import NodeLogic
import Raft
import Service
import Synchronization
import Threads
import Transport

/// Sends requests on to the leader and passes the replies on to where the requests came from. A
/// request is never sent twice: only one that the other node refused as "not leader", and so did
/// not touch, goes back to the machine. Answers in parts are passed on part by part; who takes them
/// here is who asks the other node for more.
final class Forwarder: ReplySink {
    /// An answer under way in parts.
    private struct Stream: Hashable {
        let sink: ObjectIdentifier
        let id: RequestID

        init(_ sink: any ReplySink, _ id: RequestID) {
            self.sink = ObjectIdentifier(sink)
            self.id = id
        }
    }

    private struct State {
        var targets: [RequestKey: ReplyTarget] = [:]
        var keys: [Stream: RequestKey] = [:]

        mutating func end(_ key: RequestKey) {
            guard let target = targets.removeValue(forKey: key) else { return }
            keys[Stream(target.sink, target.id)] = nil
        }
    }

    private let state = Mutex(State())
    private let transport: PeerTransport
    private let mailbox: Mailbox<NodeEvent>
    private let open: OpenRequests

    init(transport: PeerTransport, mailbox: Mailbox<NodeEvent>, open: OpenRequests) {
        self.transport = transport
        self.mailbox = mailbox
        self.open = open
    }

    func forward(_ requests: [ForwardedRequest], to address: PeerAddress) {
        let sent = requests.map { forwarded in
            var request = forwarded.request
            request.id = RequestID(forwarded.key.rawValue)
            return request
        }
        transport.forward(
            sent, to: address, of: requests.first?.leader, sink: self
        ) { [mailbox] unsent, _ in
            mailbox.post(.forwardRefused(unsent.map { RequestKey($0.id.rawValue) }))
        }
    }

    var takesParts: Bool { true }

    func deliver(_ replies: [Reply]) {
        var began: [RequestKey] = []
        var ended: [RequestKey] = []
        var refused: [RequestKey] = []
        var batch = ReplyBatch()
        for reply in replies {
            let key = RequestKey(reply.id.rawValue)
            let (target, isFirst) = target(of: key, reply.outcome)
            if case .failed(.notLeader) = reply.outcome, target == nil {
                refused.append(key)
                continue
            }
            if reply.outcome.isLast { ended.append(key) } else if isFirst { began.append(key) }
            if let target {
                batch.add(
                    reply.outcome, servedBy: reply.servedBy, sight: reply.sight, to: target)
            }
        }
        batch.deliver()
        if !refused.isEmpty { mailbox.post(.forwardRefused(refused)) }
        // Nothing hurries: the machine takes note with its next turn.
        if !began.isEmpty { mailbox.postQuietly(.forwardBegan(began)) }
        if !ended.isEmpty { mailbox.postQuietly(.forwardEnded(ended)) }
    }

    /// Whom the reply goes to; nil: nobody any more, or it is for the machine to decide.
    private func target(of key: RequestKey, _ outcome: Outcome) -> (ReplyTarget?, isFirst: Bool) {
        state.withLock { state in
            if let target = state.targets[key] {
                if outcome.isLast { state.end(key) }
                return (target, false)
            }
            if case .failed(.notLeader) = outcome { return (nil, false) }
            // Within the lock, so that who cancels finds it either there or here.
            guard let target = open.take(key) else { return (nil, false) }
            if !outcome.isLast {
                state.targets[key] = target
                state.keys[Stream(target.sink, target.id)] = key
            }
            return (target, true)
        }
    }

    // MARK: Answers in parts

    /// Nobody waits for the rest of these.
    /// - Returns: what they are known as to the machine, and who is still to be told of their end.
    func cancel(
        _ ids: [RequestID], of sink: any ReplySink
    ) -> [(key: RequestKey, target: ReplyTarget)] {
        state.withLock { state in
            guard !state.keys.isEmpty else { return [] }
            return ids.compactMap { id in
                guard let key = state.keys[Stream(sink, id)], let target = state.targets[key]
                else { return nil }
                state.end(key)
                return (key, target)
            }
        }
    }

    func demand(_ demands: [PartDemand], from sink: any ReplySink) {
        let known = state.withLock { state in
            demands.compactMap { demand in
                state.keys[Stream(sink, demand.id)].map {
                    PartDemand(id: RequestID($0.rawValue), bytes: demand.bytes)
                }
            }
        }
        if !known.isEmpty { transport.demand(known, of: self) }
    }

    /// Nobody waits any more for what was sent on to the node there. Whoever waited has been answered
    /// before, unless the first part came while the machine decided that none would: then that was the
    /// last one, and it hears so.
    func recall(_ keys: [RequestKey], at address: PeerAddress) {
        transport.recall(keys.map { RequestID($0.rawValue) }, of: self, at: address)
        let begun = state.withLock { state in
            keys.compactMap { key -> ReplyTarget? in
                defer { state.end(key) }
                return state.targets[key]
            }
        }
        var batch = ReplyBatch()
        for target in begun {
            batch.add(
                .failed(.timedOut(waitingFor: "the rest of the answer of the node at \(address)")),
                to: target)
        }
        batch.deliver()
    }
}
