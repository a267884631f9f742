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
    struct Batch {
        var requests: [ClientRequest]
        var size: Int
        var sink: any ReplySink
        var unsent: Unsent?
        var arrival: NIODeadline
    }

    enum Phase {
        case idle
        case dialing
        case connected(any Channel)
        case closed
    }

    struct State {
        var phase = Phase.idle
        var queue: [Batch] = []
        var queuedBytes = 0
        var outstanding = OutstandingForwards()
        var isFlushScheduled = false
        var isSweepScheduled = false
        /// Many requests are being encoded elsewhere: what comes behind them waits, and so does what
        /// is to be said of them.
        var isEncoding = false
        /// Bytes of large requests that are being encoded.
        var preparingBytes = 0
        /// Bytes of large requests handed to the connection that it has not written.
        var unwrittenBytes = 0
        /// Whether the other node takes requests in parts; nil: it has not said.
        var takesParts: Bool?

        /// Of all that waits.
        var waitingBytes: Int { queuedBytes + preparingBytes + outstanding.uploadingBytes }
    }

    private static let sweepInterval = TimeAmount.milliseconds(250)

    private let target: Target
    var address: PeerAddress { target.address }
    let transport: PeerTransport
    let loop: any EventLoop
    let state = Mutex(State())

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
                state.waitingBytes == 0
                    || state.waitingBytes + batch.size <= transport.limits.maxQueuedForwardBytes
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
    func flush() {
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

    private func deadline(of request: ClientRequest, in batch: Batch) -> NIODeadline {
        batch.arrival + patience(of: request)
    }

    func patience(of request: ClientRequest) -> TimeAmount {
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
                    address: address.rawValue, transport: transport, decode: ForwardedAnswers.decode
                ),
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
            state.takesParts = nil
            state.unwrittenBytes = 0
            return channel.isActive
        }
        guard isWanted else {
            channel.close(promise: nil)
            return failAll(.shutDown(address.rawValue))
        }
        channel.flush()
        flush()
        loop.scheduleTask(in: transport.limits.welcomeTime) { [weak self, weak channel] in
            if let channel { self?.learned(takesParts: false, on: channel) }
        }
    }

    func broke(_ channel: any Channel, _ error: TransportError) {
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

    /// Ends everything: what was written has an unknown outcome, what was not, to its end, goes back.
    private func failAll(_ error: TransportError) {
        let (outstanding, batches) = state.withLock { state in
            defer {
                state.queue = []
                state.queuedBytes = 0
            }
            return (state.outstanding.takeAll(), state.queue)
        }
        let failure = ServiceError.forwardingFailed(to: address, cause: error.cause)
        let written = outstanding.filter { $0.unwritten == nil }
        deliver(written.map { ($0.sink, Reply(id: $0.id, outcome: .failed(failure))) })
        let unwritten = outstanding.compactMap { open in
            open.unwritten.map {
                Batch(
                    requests: [$0.request], size: 0, sink: open.sink, unsent: $0.unsent,
                    arrival: .now())
            }
        }
        giveBack(unwritten + batches, error)
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

    func received(_ answers: ForwardedAnswers, on channel: any Channel) {
        if answers.isWelcome { learned(takesParts: true, on: channel) }
        let (paired, mustSpeak) = state.withLock { state in
            for grant in answers.grants { state.outstanding.granted(grant.number, grant.bytes) }
            let paired = answers.replies.compactMap { received($0, &state) }
            return (paired, Self.mustFlush(&state))
        }
        deliver(paired)
        if mustSpeak { flush() }
        if !answers.grants.isEmpty { writePieces(on: channel) }
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
