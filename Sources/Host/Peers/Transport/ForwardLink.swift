import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Service
import Synchronization
import Wire

/// The outgoing connection for clients' requests to one node at one address. Many requests share it, each under
/// a number of the connection; a request is written once and never again.
final class ForwardLink: Sendable {
    typealias Unsent = @Sendable ([ClientRequest], TransportError) -> Void

    /// Who shares a connection: one that another node at the same address has proved to hold serves
    /// nobody else.
    struct Target: Hashable, Sendable {
        var address: PeerAddress
        /// Nil: whoever is there.
        var node: NodeID?
    }

    /// Requests that were handed over together and are not written yet.
    private struct Batch {
        var requests: [ClientRequest]
        var size: Int
        var sink: any ReplySink
        var unsent: Unsent?
        var arrival: NIODeadline
    }

    private enum Phase {
        case idle
        case dialing
        case connected(any Channel)
        case closed
    }

    private struct State {
        var phase = Phase.idle
        var queue: [Batch] = []
        var queuedBytes = 0
        var outstanding = OutstandingForwards()
        var isFlushScheduled = false
        var isSweepScheduled = false
        /// Large requests are being encoded elsewhere: what comes behind them waits, and so does what
        /// is to be said of them.
        var isEncoding = false
    }

    private static let sweepInterval = TimeAmount.milliseconds(250)

    private let target: Target
    var address: PeerAddress { target.address }
    private let transport: PeerTransport
    private let loop: any EventLoop
    private let state = Mutex(State())

    init(to target: Target, transport: PeerTransport) {
        self.target = target
        self.transport = transport
        loop = transport.group.next()
    }

    func forward(_ requests: [ClientRequest], sink: any ReplySink, unsent: Unsent?) {
        let limits = transport.limits
        var accepted: [ClientRequest] = []
        var refused: [Reply] = []
        var size = 0
        for request in requests {
            let requestSize = request.approximateSize
            if requestSize > limits.maxFrameBytes {
                let error = ServiceError.requestTooLarge(limit: limits.maxFrameBytes)
                refused.append(Reply(id: request.id, outcome: .failed(error)))
            } else {
                accepted.append(request)
                size += requestSize
            }
        }
        let batch = Batch(
            requests: accepted, size: size, sink: sink, unsent: unsent, arrival: .now())
        if !accepted.isEmpty, !enqueue(batch) {
            refused += accepted.map { Reply(id: $0.id, outcome: .failed(.busy)) }
        }
        // On the loop, so that no sink is called from inside the caller's call.
        if !refused.isEmpty { loop.execute { [refused] in sink.deliver(refused) } }
    }

    /// False when too much is waiting.
    private func enqueue(_ batch: Batch) -> Bool {
        let (isTaken, mustSchedule) = state.withLock { state -> (Bool, Bool) in
            if case .closed = state.phase {
                loop.execute { self.giveBack([batch], .shutDown(self.address.rawValue)) }
                return (true, false)
            }
            guard
                state.queue.isEmpty
                    || state.queuedBytes + batch.size <= transport.limits.maxQueuedForwardBytes
            else { return (false, false) }
            state.queue.append(batch)
            state.queuedBytes += batch.size
            defer { state.isFlushScheduled = true }
            return (true, !state.isFlushScheduled)
        }
        if mustSchedule { loop.execute { self.flush() } }
        return isTaken
    }

    // MARK: Answers in parts

    func demand(_ demands: [PartDemand], of sink: any ReplySink) {
        let mustSchedule = state.withLock { state -> Bool in
            state.outstanding.demand(demands, of: sink)
            return Self.mustFlush(&state)
        }
        if mustSchedule { loop.execute { self.flush() } }
    }

    /// No reply to these is delivered any more.
    func recall(_ ids: [RequestID], of sink: any ReplySink) {
        let ids = Set(ids)
        let mustSchedule = state.withLock { state -> Bool in
            for index in state.queue.indices where state.queue[index].sink === sink {
                state.queue[index].requests.removeAll { ids.contains($0.id) }
            }
            Self.dropEmpty(&state)
            state.outstanding.recall(ids, of: sink)
            return Self.mustFlush(&state)
        }
        if mustSchedule { loop.execute { self.flush() } }
    }

    private static func mustFlush(_ state: inout State) -> Bool {
        guard state.outstanding.hasWords, !state.isFlushScheduled else { return false }
        state.isFlushScheduled = true
        return true
    }

    private static func dropEmpty(_ state: inout State) {
        state.queue.removeAll { $0.requests.isEmpty }
        state.queuedBytes = state.queue.reduce(0) { $0 + $1.size }
    }

    /// - Returns: what is open.
    func close() -> (any Channel)? {
        let channel = state.withLock { state -> (any Channel)? in
            defer { state.phase = .closed }
            if case .connected(let channel) = state.phase { return channel }
            return nil
        }
        loop.execute { self.failAll(.shutDown(self.address.rawValue)) }
        return channel
    }
}

// MARK: On the event loop

extension ForwardLink {
    fileprivate func flush() {
        let (channel, mustDial) = state.withLock { state -> ((any Channel)?, Bool) in
            state.isFlushScheduled = false
            switch state.phase {
            case .connected(let channel): return (channel, false)
            case .idle where !state.queue.isEmpty:
                state.phase = .dialing
                return (nil, true)
            case .idle, .dialing, .closed: return (nil, false)
            }
        }
        if mustDial { dial() }
        if let channel { write(on: channel) }
        scheduleSweep()
    }

    /// Few bytes, and without them what fills the connection may never end: they don't wait.
    private func say(_ words: [OutstandingForwards.Word], on channel: any Channel) {
        guard !words.isEmpty else { return }
        var writer = ByteWriter(reserving: words.count * 32)
        for word in words {
            switch word {
            case .demand(let number, let bytes):
                writer.writeFrame(.demand) {
                    $0.write(number)
                    $0.write(UInt32(clamping: bytes))
                }
            case .recall(let number): writer.writeFrame(.recall) { $0.write(number) }
            }
        }
        channel.writeAndFlush(ByteBuffer(bytes: writer.bytes), promise: nil)
    }

    private func write(on channel: any Channel) {
        guard !state.withLock(\.isEncoding) else { return }
        say(state.withLock { $0.outstanding.takeWords() }, on: channel)
        var hasWritten = false
        while channel.isWritable {
            let numbered = state.withLock { takeNumbered(&$0) }
            guard !numbered.isEmpty else { break }
            let size = numbered.reduce(0) { $0 + $1.1.approximateSize }
            guard size <= transport.limits.largeFrameBytes else {
                encodeElsewhere(numbered, for: channel)
                break
            }
            channel.write(Self.encoded(numbered), promise: nil)
            hasWritten = true
        }
        if hasWritten { channel.flush() }
    }

    /// The loop also carries what keeps the leader: it has no time for megabytes.
    private func encodeElsewhere(
        _ numbered: [(UInt64, ClientRequest)], for channel: any Channel
    ) {
        state.withLock { $0.isEncoding = true }
        transport.codec.submit { [self] _ in
            let bytes = Self.encoded(numbered)
            loop.execute { [self] in
                state.withLock { $0.isEncoding = false }
                // On another connection they would be sent twice: who waits for them has been told.
                channel.writeAndFlush(bytes, promise: nil)
                flush()
            }
        }
    }

    private static func encoded(_ numbered: [(UInt64, ClientRequest)]) -> ByteBuffer {
        var writer = ByteWriter(reserving: numbered.count * 512)
        for (number, request) in numbered {
            writer.writeFrame(.clientRequest) {
                request.encode(into: &$0, id: RequestID(number))
            }
        }
        return ByteBuffer(bytes: writer.bytes)
    }

    /// Moves batches from the queue to what is outstanding, about as much as one write shall hold.
    private func takeNumbered(_ state: inout State) -> [(UInt64, ClientRequest)] {
        var numbered: [(UInt64, ClientRequest)] = []
        var taken = 0
        var bytes = 0
        for batch in state.queue {
            guard bytes < transport.limits.writeBatchBytes else { break }
            for request in batch.requests {
                let number = state.outstanding.add(
                    OutstandingForwards.Request(
                        id: request.id, sink: batch.sink, arrival: batch.arrival,
                        patience: patience(of: request)))
                numbered.append((number, request))
            }
            bytes += batch.size
            taken += 1
        }
        state.queue.removeFirst(taken)
        state.queuedBytes -= bytes
        return numbered
    }

    private func deadline(of request: ClientRequest, in batch: Batch) -> NIODeadline {
        batch.arrival + patience(of: request)
    }

    private func patience(of request: ClientRequest) -> TimeAmount {
        let (seconds, attoseconds) = request.timeout.components
        let time = TimeAmount.seconds(min(max(seconds, 0), 1 << 20))
        return time + .nanoseconds(attoseconds / 1_000_000_000) + transport.limits.forwardGrace
    }

    private func dial() {
        transport.dialer.connect(
            to: address, as: transport.introduction(), for: .forwarding, on: loop,
            timeout: transport.limits.dialTimeout
        ) { [self] channel in
            try guardIdentity(of: channel)
            try channel.pipeline.syncOperations.addHandlers([
                FrameHandler(
                    limit: transport.limits.maxReplyBytes, role: .dialer,
                    address: address.rawValue, transport: transport, decode: Self.decode),
                ForwardLinkHandler(link: self),
            ])
        }.whenComplete { [self] result in
            switch result {
            case .success(let channel): connected(channel)
            case .failure(let error):
                state.withLock { state in
                    if case .dialing = state.phase { state.phase = .idle }
                }
                failAll(TransportError(error, address: address.rawValue))
            }
        }
    }

    /// Before anything is written. Whom this node wants is not said, so that an honest node refuses
    /// nothing: one that does not lead says so, and its answer proves that nothing was done.
    private func guardIdentity(of channel: any Channel) throws {
        guard let node = target.node,
            let objection = transport.security.objection(to: node, on: channel)
        else { return }
        throw TransportError(.other, address: address.rawValue, cause: objection)
    }

    private func connected(_ channel: any Channel) {
        let isWanted = state.withLock { state -> Bool in
            guard case .dialing = state.phase else { return false }
            // It may have broken already; then the next request dials again.
            state.phase = channel.isActive ? .connected(channel) : .idle
            return channel.isActive
        }
        guard isWanted else {
            channel.close(promise: nil)
            return failAll(.shutDown(address.rawValue))
        }
        channel.flush()
        flush()
    }

    fileprivate func broke(_ channel: any Channel, _ error: TransportError) {
        let isCurrent = state.withLock { state -> Bool in
            switch state.phase {
            case .connected(let current) where current === channel:
                state.phase = .idle
                return true
            case .closed: return true
            case .idle, .dialing, .connected: return false
            }
        }
        if isCurrent { failAll(error) }
    }

    /// Ends everything: what was written has an unknown outcome, what was not goes back.
    private func failAll(_ error: TransportError) {
        let (outstanding, batches) = state.withLock { state in
            defer {
                state.queue = []
                state.queuedBytes = 0
            }
            return (state.outstanding.takeAll(), state.queue)
        }
        let failure = ServiceError.forwardingFailed(to: address, cause: error.cause)
        deliver(outstanding.map { ($0.sink, Reply(id: $0.id, outcome: .failed(failure))) })
        giveBack(batches, error)
    }

    private func giveBack(_ batches: [Batch], _ error: TransportError) {
        let failure = ServiceError.forwardingFailed(to: address, cause: error.cause)
        for batch in batches {
            if let unsent = batch.unsent {
                unsent(batch.requests, error)
            } else {
                batch.sink.deliver(
                    batch.requests.map { Reply(id: $0.id, outcome: .failed(failure)) })
            }
        }
    }

    fileprivate static func decode(_ batch: FrameBatch) throws -> [Reply] {
        var replies: [Reply] = []
        replies.reserveCapacity(batch.frames.count)
        for frame in batch.frames where frame.kind == .reply {
            var reader = batch.reader(of: frame)
            replies.append(try Reply(from: &reader))
        }
        return replies
    }

    fileprivate func received(_ replies: [Reply]) {
        let (paired, mustSpeak) = state.withLock { state in
            let paired = replies.compactMap { received($0, &state) }
            return (paired, Self.mustFlush(&state))
        }
        deliver(paired)
        if mustSpeak { flush() }
    }

    private func received(_ reply: Reply, _ state: inout State) -> (any ReplySink, Reply)? {
        var reply = reply
        let request: OutstandingForwards.Request
        switch state.outstanding.receive(reply) {
        case .unknown: return nil
        case .expected(let waiting): request = waiting
        case .unasked(let waiting):
            request = waiting
            let cause = "it sends more of its answer than it was asked for"
            reply.outcome = .failed(.forwardingFailed(to: address, cause: cause))
        }
        reply.id = request.id
        reply.servedBy = reply.servedBy ?? address
        return (request.sink, reply)
    }

    /// One delivery per sink, in the order of arrival.
    private func deliver(_ replies: [(any ReplySink, Reply)]) {
        var groups: [(sink: any ReplySink, replies: [Reply])] = []
        var places: [ObjectIdentifier: Int] = [:]
        for (sink, reply) in replies {
            if let place = places[ObjectIdentifier(sink)] {
                groups[place].replies.append(reply)
            } else {
                places[ObjectIdentifier(sink)] = groups.count
                groups.append((sink, [reply]))
            }
        }
        for group in groups { group.sink.deliver(group.replies) }
    }

    /// A node that is stopped keeps its connections: only time tells.
    private func scheduleSweep() {
        let mustSchedule = state.withLock { state -> Bool in
            guard !state.isSweepScheduled, !state.outstanding.isEmpty || !state.queue.isEmpty
            else { return false }
            state.isSweepScheduled = true
            return true
        }
        guard mustSchedule else { return }
        loop.scheduleTask(in: Self.sweepInterval) {
            self.sweep()
            self.scheduleSweep()
        }
    }

    private func sweep() {
        let now = NIODeadline.now()
        let (expired, mustSpeak) = state.withLock { state in
            state.isSweepScheduled = false
            var expired = state.outstanding.takeLate(at: now).map { ($0.sink, $0.id) }
            for index in state.queue.indices {
                let batch = state.queue[index]
                let late = batch.requests.filter { deadline(of: $0, in: batch) < now }
                guard !late.isEmpty else { continue }
                state.queue[index].requests.removeAll { deadline(of: $0, in: batch) < now }
                expired += late.map { (batch.sink, $0.id) }
            }
            Self.dropEmpty(&state)
            return (expired, Self.mustFlush(&state))
        }
        if mustSpeak { flush() }
        let failure = ServiceError.timedOut(waitingFor: "an answer of the node at \(address)")
        deliver(expired.map { ($0.0, Reply(id: $0.1, outcome: .failed(failure))) })
    }
}

/// Watches a link's connection.
private final class ForwardLinkHandler: ChannelInboundHandler {
    typealias InboundIn = [Reply]

    private let link: ForwardLink
    private var error: TransportError?

    init(link: ForwardLink) {
        self.link = link
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        link.received(unwrapInboundIn(data))
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { link.flush() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if self.error == nil {
            self.error = TransportError(error, address: link.address.rawValue)
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let lost = TransportError(
            .connectionLost, address: link.address.rawValue,
            cause: "the connection broke before the answer came")
        link.broke(context.channel, error ?? lost)
        context.fireChannelInactive()
    }
}
