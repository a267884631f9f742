import NodeLogic
package import PeerProtocol
import Raft
import Rights
package import Service
import Transport

/// What other nodes may ask of this one, by the rights of whoever is behind them: a client's request
/// carries the client's credential, and this node grants what its own file grants.
extension Node {
    /// As `submit`, for clients whom this node grants what they want. Requests with one credential
    /// keep their order.
    package func forwarded(
        _ requests: [ClientRequest], from caller: PeerCaller, replyTo sink: any ReplySink
    ) {
        for request in requests { links.timings.peers.forwarded(request.operation) }
        guard let judge = links.access.judge else { return submit(requests, replyTo: sink) }
        var granted: [ClientRequest] = []
        var refused: [Reply] = []
        for request in requests {
            let verdict = judge.judge(
                request.credential, request.operation.need, for: caller.asker
            ) { [self] verdict in
                if verdict {
                    submit([request], replyTo: sink)
                } else {
                    sink.deliver([Self.refusal(of: request)])
                }
            }
            switch verdict {
            case .granted?: granted.append(request)
            case .refused?: refused.append(Self.refusal(of: request))
            // Who hears that it is busy asks again.
            case .noRoom?: refused.append(Reply(id: request.id, outcome: .failed(.busy)))
            case nil: break
            }
        }
        if !granted.isEmpty { submit(granted, replyTo: sink) }
        if !refused.isEmpty { sink.deliver(refused) }
    }

    private static func refusal(of request: ClientRequest) -> Reply {
        Reply(
            id: request.id, outcome: .failed(.notAuthorized(request.operation.refusalName)))
    }

    /// Goes on with a question if its asker has the right to it, else answers it.
    func admit(
        _ request: PeerRequest, from caller: PeerCaller,
        reply: @escaping @Sendable (PeerAnswer) -> Void, _ goOn: @escaping @Sendable () -> Void
    ) {
        guard let judge = links.access.judge, let need = request.need,
            !asksForNothingNew(request, caller)
        else { return goOn() }
        let hadNone = caller.credential == .none
        let end: @Sendable (Bool) -> Void = { verdict in
            guard !verdict else { return goOn() }
            let hint = hadNone ? " (did you forget to set -join-as?)" : ""
            reply(Self.refusal(of: request, .unauthorized, "unauthorized\(hint)"))
        }
        switch judge.judge(caller.credential, need, for: caller.asker, later: end) {
        case .granted?: end(true)
        case .refused?: end(false)
        // Who asks to join asks again.
        case .noRoom?:
            reply(Self.refusal(of: request, .busy, "too many credentials wait to be looked at"))
        case nil: break
        }
    }

    /// Who returns to its cluster asks for nothing new: a member tells where it is, and whoever is none
    /// any more hears so, and without rights too, for it would wait for ever.
    private func asksForNothingNew(_ request: PeerRequest, _ caller: PeerCaller) -> Bool {
        guard case .join(let join) = request, join.intent == .resume,
            caller.identity == join.identity, let theirs = join.cluster
        else { return false }
        return theirs == links.board.status.cluster
    }

    private static func refusal(
        of request: PeerRequest, _ code: JoinRefusal.Code, _ text: String
    ) -> PeerAnswer {
        guard case .join = request else { return .failed(text) }
        return .joinRefused(JoinRefusal(code: code, text: text))
    }
}
