import NIOCore
import PeerProtocol
import Raft
import Synchronization
import Wire

/// The outgoing connection for messages to one peer: dialed when there is something to send, kept,
/// and dialed again after a pause when it breaks. Messages wait in a bounded queue; a queue whose
/// connection is lost is dropped, for Raft sends anew what still matters.
final class MessageLink: Sendable {
    private enum Phase {
        case idle
        case dialing
        case connected(any Channel, since: NIODeadline)
        case waiting(Scheduled<Void>)
        case closed
    }

    private struct State {
        var phase = Phase.idle
        /// Tells a dial under way from one that a change of address made void.
        var dials: UInt64 = 0
        var queue: [Message] = []
        var isFlushScheduled = false
        /// Connections in a row that failed or broke at once.
        var failures = 0
        /// The last connection did not hold: one that is made and broken in turn is no news.
        var didBreakAtOnce = false
        var hasSaidDisconnected = false
        var statistics: TransportStatistics.Peer

        mutating func dropQueue() -> Int {
            let count = queue.count
            statistics.droppedMessages += UInt64(count)
            queue.removeAll()
            statistics.queuedBytes = 0
            return count
        }
    }

    let peer: NodeID
    private let transport: Transport
    private let loop: any EventLoop
    private let state: Mutex<State>

    init(peer: NodeID, address: PeerAddress, transport: Transport) {
        self.peer = peer
        self.transport = transport
        loop = transport.group.next()
        state = Mutex(
            State(
                statistics: TransportStatistics.Peer(id: peer, address: address, state: .idle)))
    }

    var address: PeerAddress { state.withLock { $0.statistics.address } }

    var statistics: TransportStatistics.Peer {
        state.withLock { state in
            var statistics = state.statistics
            statistics.queuedMessages = state.queue.count
            statistics.state =
                switch state.phase {
                case .idle, .closed: .idle
                case .dialing: .dialing
                case .connected: .connected
                case .waiting: .waiting
                }
            return statistics
        }
    }

    func send(_ messages: [Message]) {
        let limits = transport.limits
        let (overflow, mustSchedule) = state.withLock { state -> (Int, Bool) in
            var overflow = 0
            if case .closed = state.phase { return (0, false) }
            for message in messages {
                let size = message.approximateSize
                guard size <= limits.maxFrameBytes else {
                    state.statistics.droppedMessages += 1
                    overflow += 1
                    continue
                }
                if state.statistics.queuedBytes + size > limits.maxQueuedMessageBytes {
                    overflow += state.dropQueue()
                }
                state.queue.append(message)
                state.statistics.queuedBytes += size
            }
            defer { state.isFlushScheduled = true }
            return (overflow, !state.isFlushScheduled)
        }
        if mustSchedule { loop.execute { self.flush() } }
        if overflow > 0 {
            loop.execute { [self] in
                transport.observe(.messagesDropped(peer, count: overflow))
                transport.delegate?.peerUnreachable(peer)
            }
        }
    }

    func move(to address: PeerAddress) {
        let old = state.withLock { state -> (any Channel)? in
            guard state.statistics.address != address else { return nil }
            state.statistics.address = address
            state.dials += 1
            state.failures = 0
            switch state.phase {
            case .connected(let channel, _):
                state.phase = .idle
                return channel
            case .waiting(let timer):
                timer.cancel()
                state.phase = .idle
            case .dialing: state.phase = .idle
            case .idle, .closed: break
            }
            return nil
        }
        old?.close(promise: nil)
        loop.execute { [self] in
            // What was on its way on the old connection may be lost.
            if old != nil { transport.delegate?.peerUnreachable(peer) }
            flush()
        }
    }

    /// The peer is alive: there is no reason to wait any longer.
    func retryNow() {
        let isDue = state.withLock { state -> Bool in
            guard case .waiting(let timer) = state.phase else { return false }
            timer.cancel()
            state.phase = .idle
            state.failures = 0
            return true
        }
        if isDue { loop.execute { self.flush() } }
    }

    /// - Returns: what is open.
    func close() -> (any Channel)? {
        state.withLock { state -> (any Channel)? in
            defer { state.phase = .closed }
            _ = state.dropQueue()
            switch state.phase {
            case .connected(let channel, _): return channel
            case .waiting(let timer): timer.cancel()
            case .idle, .dialing, .closed: break
            }
            return nil
        }
    }
}

// MARK: On the event loop

extension MessageLink {
    private enum Step {
        case nothing
        case dial(PeerAddress, number: UInt64)
        case write(any Channel)
    }

    fileprivate func flush() {
        let step = state.withLock { state -> Step in
            state.isFlushScheduled = false
            switch state.phase {
            case .connected(let channel, _): return .write(channel)
            case .idle where !state.queue.isEmpty:
                state.phase = .dialing
                state.dials += 1
                return .dial(state.statistics.address, number: state.dials)
            case .idle, .dialing, .waiting, .closed: return .nothing
            }
        }
        switch step {
        case .nothing: break
        case .dial(let address, let number): dial(address, number: number)
        case .write(let channel): write(on: channel)
        }
    }

    private func write(on channel: any Channel) {
        var hasWritten = false
        while channel.isWritable {
            let batch = state.withLock { Self.takeBatch(&$0, transport.limits.writeBatchBytes) }
            guard !batch.isEmpty else { break }
            var writer = ByteWriter(reserving: batch.reduce(0) { $0 + $1.approximateSize })
            for message in batch {
                writer.writeFrame(.message) { message.encode(into: &$0) }
            }
            let count = writer.count
            state.withLock {
                $0.statistics.sentMessages += UInt64(batch.count)
                $0.statistics.sentBytes += UInt64(count)
            }
            channel.write(ByteBuffer(bytes: writer.bytes), promise: nil)
            hasWritten = true
        }
        if hasWritten { channel.flush() }
    }

    private static func takeBatch(_ state: inout State, _ limit: Int) -> [Message] {
        guard state.statistics.queuedBytes > limit else {
            defer { state.queue = [] }
            state.statistics.queuedBytes = 0
            return state.queue
        }
        var count = 0
        var bytes = 0
        while count < state.queue.count, bytes < limit {
            bytes += state.queue[count].approximateSize
            count += 1
        }
        defer { state.queue.removeFirst(count) }
        state.statistics.queuedBytes -= bytes
        return Array(state.queue[..<count])
    }

    private func dial(_ address: PeerAddress, number: UInt64) {
        transport.dialer.connect(
            to: address, for: .messages, on: loop, timeout: transport.limits.dialTimeout
        ) { [self] channel in
            try channel.pipeline.syncOperations.addHandlers([
                FrameHandler(
                    limit: transport.limits.maxCallBytes, role: .dialer,
                    address: address.rawValue),
                MessageLinkHandler(link: self, address: address),
            ])
        }.whenComplete { [self] result in
            switch result {
            case .success(let channel): connected(channel, to: address, number: number)
            case .failure(let error):
                let error = TransportError(error, address: address.rawValue)
                ended(error) { state in
                    if case .dialing = state.phase { return state.dials == number }
                    return false
                }
            }
        }
    }

    private func connected(_ channel: any Channel, to address: PeerAddress, number: UInt64) {
        let (isWanted, isNews) = state.withLock { state -> (Bool, Bool) in
            guard case .dialing = state.phase, state.dials == number, channel.isActive else {
                return (false, false)
            }
            state.phase = .connected(channel, since: .now())
            state.statistics.connections += 1
            if !state.didBreakAtOnce { state.hasSaidDisconnected = false }
            return (true, !state.didBreakAtOnce)
        }
        guard isWanted else { return channel.close(promise: nil) }
        channel.flush()
        if isNews { transport.observe(.connected(peer, address)) }
        flush()
    }

    fileprivate func broke(_ channel: any Channel, _ error: TransportError) {
        ended(error) { state in
            guard case .connected(let current, let since) = state.phase, current === channel
            else { return false }
            // A connection that held is no reason to wait long before the next.
            state.didBreakAtOnce = since + transport.limits.maxBackoff > .now()
            if !state.didBreakAtOnce {
                state.failures = 0
                state.hasSaidDisconnected = false
            }
            return true
        }
    }

    /// Pauses after a failure, if it still concerns the link.
    private func ended(_ error: TransportError, if isCurrent: (inout State) -> Bool) {
        let (concerns, saysSo) = state.withLock { state -> (Bool, Bool) in
            guard isCurrent(&state) else { return (false, false) }
            _ = state.dropQueue()
            state.statistics.lastError = error
            let delay = transport.limits.backoff(after: state.failures)
            state.failures += 1
            state.phase = .waiting(loop.scheduleTask(in: delay) { self.resume() })
            defer { state.hasSaidDisconnected = true }
            return (true, !state.hasSaidDisconnected)
        }
        guard concerns else { return }
        if saysSo { transport.observe(.disconnected(peer, error)) }
        transport.delegate?.peerUnreachable(peer)
    }

    private func resume() {
        state.withLock { state in
            if case .waiting = state.phase { state.phase = .idle }
        }
        flush()
    }
}

/// Watches a link's connection.
private final class MessageLinkHandler: ChannelInboundHandler {
    typealias InboundIn = FrameBatch

    private let link: MessageLink
    private let address: PeerAddress
    private var error: TransportError?

    init(link: MessageLink, address: PeerAddress) {
        self.link = link
        self.address = address
    }

    /// The acceptor says nothing but a refusal, which is an error by now.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { link.flush() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if self.error == nil {
            self.error = TransportError(error, address: address.rawValue)
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let lost = TransportError(
            .connectionLost, address: address.rawValue, cause: "the other end closed")
        link.broke(context.channel, error ?? lost)
        context.fireChannelInactive()
    }
}
