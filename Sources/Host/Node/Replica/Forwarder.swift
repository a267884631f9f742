import NodeLogic
import Raft
import Service
import Threads
import Transport

/// Sends requests on to the leader and passes the replies on to where the requests came from. A
/// request is never sent twice: only one that the other node refused as "not leader", and so did
/// not touch, goes back to the machine.
final class Forwarder: ReplySink {
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
        transport.forward(sent, to: address, sink: self) { [mailbox] unsent, _ in
            mailbox.post(.forwardRefused(unsent.map { RequestKey($0.id.rawValue) }))
        }
    }

    func deliver(_ replies: [Reply]) {
        var ended: [RequestKey] = []
        var refused: [RequestKey] = []
        var batch = ReplyBatch()
        for reply in replies {
            let key = RequestKey(reply.id.rawValue)
            if case .failed(.notLeader) = reply.outcome {
                refused.append(key)
                continue
            }
            ended.append(key)
            guard let target = open.take(key) else { continue }
            batch.add(reply.outcome, servedBy: reply.servedBy, to: target)
        }
        batch.deliver()
        if !refused.isEmpty { mailbox.post(.forwardRefused(refused)) }
        // Nothing hurries: the machine takes note with its next turn.
        if !ended.isEmpty { mailbox.postQuietly(.forwardEnded(ended)) }
    }
}
