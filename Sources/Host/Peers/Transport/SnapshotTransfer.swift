import NIOCore
import PeerProtocol
import Raft
import Synchronization

/// The handle of one outgoing snapshot, from the dial to its one completion.
final class SnapshotTransfer: Sendable {
    typealias Completion = @Sendable (Result<Void, TransportError>) -> Void

    private struct State {
        var channel: (any Channel)?
        var isCancelled = false
        var completion: Completion?
    }

    let offer: SnapshotOffer
    let address: PeerAddress
    private let wanted: Introduction.Wanted
    private let transport: PeerTransport
    private let loop: any EventLoop
    private let state: Mutex<State>

    init(
        _ offer: SnapshotOffer, to wanted: Introduction.Wanted, at address: PeerAddress,
        transport: PeerTransport,
        completion: @escaping Completion
    ) {
        self.offer = offer
        self.address = address
        self.wanted = wanted
        self.transport = transport
        loop = transport.group.next()
        state = Mutex(State(completion: completion))
    }

    func start(from source: any SnapshotReading) {
        transport.dialer.connect(
            to: address, as: transport.introduction(wanting: wanted), for: .snapshot, on: loop,
            timeout: transport.limits.dialTimeout
        ) { [self] channel in
            let sender = SnapshotSender(
                transport: transport, offer: offer, source: source, address: address
            ) { self.complete($0) }
            try channel.pipeline.syncOperations.addHandlers([
                FrameHandler(
                    limit: transport.limits.maxCallBytes, role: .dialer,
                    address: address.rawValue, transport: transport), sender,
            ])
        }.whenComplete { [self] result in
            switch result {
            case .failure(let error):
                complete(.failure(TransportError(error, address: address.rawValue)))
            case .success(let channel):
                let isCancelled = state.withLock { state in
                    state.channel = channel
                    return state.isCancelled
                }
                if isCancelled { Self.end(channel) }
            }
        }
    }

    /// Completes with `cancelled`, unless it has completed.
    func cancel() {
        let channel = state.withLock { state in
            state.isCancelled = true
            return state.channel
        }
        if let channel { Self.end(channel) }
    }

    var channel: (any Channel)? { state.withLock { $0.channel } }

    private static func end(_ channel: any Channel) {
        channel.pipeline.fireUserInboundEventTriggered(SnapshotSender.Cancel())
    }

    private func complete(_ result: Result<Void, TransportError>) {
        let completion = state.withLock { state in
            defer { state.completion = nil }
            return state.completion
        }
        guard let completion else { return }
        transport.ended(self)
        if case .failure(let error) = result, case .otherNode(let found) = error.reason {
            transport.misrouted(wanted.id, found: found, at: address, messages: 0)
        }
        completion(result)
    }
}
