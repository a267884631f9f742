import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Synchronization
import Wire

/// One of the two outgoing connections for messages to a peer: dialed when there is something to
/// send, kept, and dialed again after a pause when it breaks. Messages wait in a bounded queue; a
/// queue whose connection is lost is dropped, for Raft sends anew what still matters.
///
/// Once it was said that the peer can't be reached, it is dialed with nothing to send, too, until it can.
///
/// Where to dial, and when again, its `MessageLink` says.
final class MessageStream: Sendable {
    enum Role: Int, Sendable, CaseIterable {
        /// Small messages that decide over leadership; they never wait behind entries.
        case urgent
        /// Appends, in the order in which Raft made them.
        case log
    }

    private enum Phase {
        case idle
        case dialing
        case connected(any Channel, since: NIODeadline)
        case waiting(Scheduled<Void>)
        case closed
    }

    struct Counters: Sendable {
        var state = TransportStatistics.ConnectionState.idle
        var queuedBytes = 0
        var queuedMessages = 0
        var sentMessages: UInt64 = 0
        var sentBytes: UInt64 = 0
        var droppedMessages: UInt64 = 0
        var connections: UInt64 = 0
    }

    private struct State {
        var phase = Phase.idle
        /// Tells what belongs to the present connection from what belongs to one before it.
        var dials: UInt64 = 0
        var queue: [Message] = []
        /// Taken from the queue and not yet the kernel's.
        var unwrittenBytes = 0
        /// Sent on a connection of which it isn't known yet who is at its other end.
        var unconfirmedMessages = 0
        var isEncoding = false
        var isFlushScheduled = false
        var counters = Counters()
        /// Owns the stream; nil once that is closed.
        var link: MessageLink?

        mutating func dropQueue() -> Int {
            let count = queue.count
            counters.droppedMessages += UInt64(count)
            queue.removeAll()
            counters.queuedBytes = 0
            return count
        }

        /// - Returns: what is open.
        mutating func leave(for phase: Phase) -> (any Channel)? {
            let old = self.phase
            self.phase = phase
            dials += 1
            unwrittenBytes = 0
            switch old {
            case .connected(let channel, _): return channel
            case .waiting(let timer): timer.cancel()
            case .idle, .dialing, .closed: break
            }
            return nil
        }
    }

    let role: Role
    private let transport: PeerTransport
    let loop: any EventLoop
    private let state: Mutex<State>

    /// - Parameter link: owns the stream, and closes it.
    init(_ role: Role, of link: MessageLink, transport: PeerTransport) {
        self.role = role
        self.transport = transport
        loop = transport.group.next()
        state = Mutex(State(link: link))
    }

    private var link: MessageLink? { state.withLock { $0.link } }

    var counters: Counters {
        state.withLock { state in
            var counters = state.counters
            counters.queuedMessages = state.queue.count
            counters.state =
                switch state.phase {
                case .idle, .closed: .idle
                case .dialing: .dialing
                case .connected: .connected
                case .waiting: .waiting
                }
            return counters
        }
    }

    /// What is sent now arrives late.
    var isBacklogged: Bool {
        state.withLock {
            $0.counters.queuedBytes + $0.unwrittenBytes > transport.limits.backlogBytes
        }
    }

    func send(_ messages: [Message]) {
        let limits = transport.limits
        let (overflow, mustSchedule) = state.withLock { state -> (Int, Bool) in
            var overflow = 0
            if case .closed = state.phase { return (0, false) }
            for message in messages {
                if role == .urgent, message.isSignOfLife, let last = state.queue.last,
                    last.isSignOfLife
                {
                    state.queue[state.queue.count - 1] = message
                    continue
                }
                let size = message.approximateSize
                guard size <= limits.maxFrameBytes else {
                    state.counters.droppedMessages += 1
                    overflow += 1
                    continue
                }
                if state.counters.queuedBytes + size > limits.maxQueuedMessageBytes {
                    overflow += state.dropQueue()
                }
                state.queue.append(message)
                state.counters.queuedBytes += size
            }
            defer { state.isFlushScheduled = true }
            return (overflow, !state.isFlushScheduled)
        }
        if mustSchedule { loop.execute { self.flush() } }
        if overflow > 0 { loop.execute { self.link?.overflowed(self.role, count: overflow) } }
    }

    /// Ends the connection, or the dial under way, for the link has another address. What waits is
    /// kept.
    func redial() {
        let (old, isClosed) = state.withLock { state -> ((any Channel)?, Bool) in
            if case .closed = state.phase { return (nil, true) }
            return (state.leave(for: .idle), false)
        }
        guard !isClosed else { return }
        old?.close(promise: nil)
        loop.execute { [self] in
            // What was on its way on the old connection may be lost.
            if old != nil { link?.lostMessages(role) }
            flush()
        }
    }

    /// The peer is alive, or its address known: there is no reason to wait any longer.
    func retryNow() {
        let isDue = state.withLock { state -> Bool in
            guard case .waiting(let timer) = state.phase else { return false }
            timer.cancel()
            state.phase = .idle
            return true
        }
        if isDue { loop.execute { self.flush() } }
    }

    /// - Returns: what is open.
    func close() -> (any Channel)? {
        state.withLock { state -> (any Channel)? in
            _ = state.dropQueue()
            state.link = nil
            return state.leave(for: .closed)
        }
    }
}

// MARK: On the event loop

extension MessageStream {
    private enum Step {
        case nothing
        case dial
        /// Nothing waits to be sent.
        case dialIfMissed
        case write(any Channel, UInt64)
    }

    fileprivate func flush() {
        let step = state.withLock { state -> Step in
            state.isFlushScheduled = false
            switch state.phase {
            case .connected(let channel, _): return .write(channel, state.dials)
            case .idle where !state.queue.isEmpty: return .dial
            case .idle: return .dialIfMissed
            case .dialing, .waiting, .closed: return .nothing
            }
        }
        switch step {
        case .nothing: break
        case .dial: dial()
        case .dialIfMissed: if link?.isMissed ?? false { dial() }
        case .write(let channel, let number): write(on: channel, number)
        }
    }

    private func dial() {
        guard let link else { return }
        guard let address = link.address else {
            let count = state.withLock { $0.dropQueue() }
            return link.unroutable(role, count: count)
        }
        let number = state.withLock { state -> UInt64? in
            guard case .idle = state.phase else { return nil }
            state.phase = .dialing
            state.dials += 1
            return state.dials
        }
        guard let number else { return }
        transport.dialer.connect(
            to: address, as: transport.introduction(wanting: link.wanted), for: .messages,
            on: loop, timeout: transport.limits.dialTimeout
        ) { [self] channel in
            try channel.pipeline.syncOperations.addHandlers([
                FrameHandler(
                    limit: transport.limits.maxCallBytes, role: .dialer,
                    address: address.rawValue, transport: transport),
                MessageStreamHandler(stream: self, address: address, number: number),
            ])
        }.whenComplete { [self] result in
            switch result {
            case .success(let channel): connected(channel, to: address, number)
            case .failure(let error):
                ended(TransportError(error, address: address.rawValue), at: address, number)
            }
        }
    }

    private func connected(_ channel: any Channel, to address: PeerAddress, _ number: UInt64) {
        let isWanted = state.withLock { state -> Bool in
            guard case .dialing = state.phase, state.dials == number, channel.isActive else {
                return false
            }
            state.phase = .connected(channel, since: .now())
            state.counters.connections += 1
            state.unconfirmedMessages = 0
            return true
        }
        guard isWanted else { return channel.close(promise: nil) }
        channel.flush()
        link?.connected(role, to: address)
        flush()
        // What holds is news, but not at once: it may be made and broken in turn.
        loop.scheduleTask(in: transport.limits.maxBackoff) { [weak self] in
            guard let self, isCurrent(number) else { return }
            link?.held(role, at: address)
        }
    }

    private func isCurrent(_ number: UInt64) -> Bool {
        state.withLock { state in
            if case .connected = state.phase { return state.dials == number }
            return false
        }
    }

    /// The other end has said who it is: the one who was wanted.
    fileprivate func confirmed(at address: PeerAddress, _ number: UInt64) {
        let isCurrent = state.withLock { state -> Bool in
            guard case .connected = state.phase, state.dials == number else { return false }
            state.unconfirmedMessages = 0
            return true
        }
        if isCurrent { link?.confirmed(role, at: address) }
    }

    /// Pauses after a failure, if it still concerns the stream.
    fileprivate func ended(_ error: TransportError, at address: PeerAddress, _ number: UInt64) {
        let held = state.withLock { state -> (isCurrent: Bool, long: Bool, lost: Int) in
            guard state.dials == number else { return (false, false, 0) }
            switch state.phase {
            case .connected(_, let since):
                let lost = state.unconfirmedMessages + state.dropQueue()
                return (true, since + transport.limits.maxBackoff <= .now(), lost)
            case .dialing: return (true, false, state.dropQueue())
            case .idle, .waiting, .closed: return (false, false, 0)
            }
        }
        guard held.isCurrent, let link else { return }
        let retry = link.failed(
            role, at: address, error, afterHolding: held.long, lost: held.lost)
        let mustFlush = state.withLock { state -> Bool in
            guard state.dials == number else { return false }
            _ = state.leave(for: .idle)
            guard let delay = retry else { return true }
            state.phase = .waiting(loop.scheduleTask(in: delay) { self.resume() })
            return false
        }
        if mustFlush { flush() }
    }

    private func resume() {
        state.withLock { state in
            if case .waiting = state.phase { state.phase = .idle }
        }
        flush()
    }
}

// MARK: Writing

extension MessageStream {
    private struct Batch: Sendable {
        var messages: [Message]
        var size: Int

        func encoded() -> ByteBuffer {
            var writer = ByteWriter(reserving: size)
            for message in messages {
                writer.writeFrame(.message) { message.encode(into: &$0) }
            }
            return ByteBuffer(bytes: writer.bytes)
        }
    }

    private func write(on channel: any Channel, _ number: UInt64) {
        var hasWritten = false
        while channel.isWritable, let batch = takeBatch(number) {
            guard batch.size <= transport.limits.largeFrameBytes else {
                encodeElsewhere(batch, for: channel, number)
                break
            }
            write(batch.encoded(), of: batch, on: channel, number)
            hasWritten = true
        }
        if hasWritten { channel.flush() }
    }

    /// Encoding and the checksum of many megabytes would hold up the loop.
    private func encodeElsewhere(_ batch: Batch, for channel: any Channel, _ number: UInt64) {
        state.withLock { $0.isEncoding = true }
        transport.codec.submit { [self] _ in
            let bytes = batch.encoded()
            loop.execute { [self] in
                state.withLock { $0.isEncoding = false }
                if isCurrent(number) {
                    write(bytes, of: batch, on: channel, number)
                    channel.flush()
                }
                flush()
            }
        }
    }

    private func write(
        _ bytes: ByteBuffer, of batch: Batch, on channel: any Channel, _ number: UInt64
    ) {
        let count = bytes.readableBytes
        state.withLock { state in
            state.counters.sentMessages += UInt64(batch.messages.count)
            state.counters.sentBytes += UInt64(count)
            state.unconfirmedMessages += batch.messages.count
        }
        let written = loop.makePromise(of: Void.self)
        written.futureResult.whenComplete { [self] _ in
            state.withLock { state in
                if state.dials == number { state.unwrittenBytes -= batch.size }
            }
        }
        channel.write(bytes, promise: written)
    }

    private func takeBatch(_ number: UInt64) -> Batch? {
        let limit = transport.limits.writeBatchBytes
        return state.withLock { state in
            guard !state.queue.isEmpty, !state.isEncoding, state.dials == number else {
                return nil
            }
            var count = 0
            var size = 0
            while count < state.queue.count, size < limit {
                size += state.queue[count].approximateSize
                count += 1
            }
            let batch = Batch(messages: Array(state.queue[..<count]), size: size)
            if count == state.queue.count {
                state.queue = []
                state.counters.queuedBytes = 0
            } else {
                state.queue.removeFirst(count)
                state.counters.queuedBytes -= size
            }
            state.unwrittenBytes += size
            return batch
        }
    }
}

extension Message {
    /// A heartbeat that asks about nothing and commits nothing: position zero matches every log.
    var isSignOfLife: Bool {
        if case .appendEntries(let append) = body {
            return append.entries.isEmpty && append.previous == .zero
        }
        return false
    }

    var isHeartbeat: Bool {
        if case .appendEntries(let append) = body { return append.entries.isEmpty }
        return false
    }

    /// A heartbeat that may overtake appends. As it is, it would be answered as a mismatch by a
    /// follower that lacks what is still on its way, and the leader would send that again.
    var signOfLife: Message {
        guard case .appendEntries(var append) = body else { return self }
        append.previous = .zero
        var copy = self
        copy.body = .appendEntries(append)
        return copy
    }
}

/// Watches a stream's connection.
private final class MessageStreamHandler: ChannelInboundHandler {
    typealias InboundIn = FrameBatch

    private let stream: MessageStream
    private let address: PeerAddress
    private let number: UInt64
    private var error: TransportError?

    init(stream: MessageStream, address: PeerAddress, number: UInt64) {
        self.stream = stream
        self.address = address
        self.number = number
    }

    /// The acceptor says nothing but its welcome, and a refusal, which is an error by now.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let batch = unwrapInboundIn(data)
        guard batch.frames.contains(where: { $0.kind == .welcome }) else { return }
        // Who accepts has compared: it is the one who was wanted. By now `connected` has run, for
        // the dial's future completes in the turn in which the connection is up.
        stream.confirmed(at: address, number)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { stream.flush() }
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
        stream.ended(error ?? lost, at: address, number)
        context.fireChannelInactive()
    }
}
