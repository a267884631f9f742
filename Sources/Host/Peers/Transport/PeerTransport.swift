package import NIOCore
import NIOPosix
package import PeerProtocol
package import Raft
package import Rights
package import Service
import Synchronization
import Wire

/// Moves messages, questions, clients' requests and snapshots between this node and others.
///
/// All calls return at once and may come from any thread. What arrives goes to the delegate.
package final class PeerTransport: Sendable {
    struct State {
        var delegate: (any PeerDelegate)?
        var links: [NodeID: MessageLink] = [:]
        var forwarding: [ForwardLink.Target: ForwardLink] = [:]
        var transfers: [NodeID: SnapshotTransfer] = [:]
        /// Connections of accepted snapshots, until these arrived or ended.
        var incoming: [IncomingSnapshotID: any Channel] = [:]
        var calls: [ObjectIdentifier: any Channel] = [:]
        var unroutableMessages: UInt64 = 0
        var whereabouts = Whereabouts()
        var isShutDown = false
    }

    /// The node's own, with which it introduces itself.
    package let identity: NodeIdentity
    /// As they were given; they don't change.
    package let limits: TransportLimits
    /// Goes with questions that a right is needed for.
    private let credential: @Sendable () -> Credential
    let group: any EventLoopGroup
    package let security: TransportSecurity
    let dialer: Dialer
    let inbound: InboundConnections
    /// Snapshots are read and written here, for disks block.
    let storageThreads = NIOThreadPool(numberOfThreads: 2)
    /// Large frames are encoded and decoded here.
    let codec = NIOThreadPool(numberOfThreads: 1)
    let state = Mutex(State())
    /// Of files that go out, and that come in.
    let sentFiles = Mutex(TransportStatistics.Shipped())
    let receivedFiles = Mutex(TransportStatistics.Shipped())

    /// - Parameters:
    ///   - group: loops for traffic between nodes alone; outlives the transport's `shutdown()`.
    ///   - credential: by which this node asks to be let into a cluster; from any thread.
    ///   - security: which connections are encrypted.
    ///   - memory: what names led to in former runs.
    ///   - lookup: another way than the system's to find a host's addresses, for tests. It blocks
    ///     a thread of its own.
    package init(
        group: any EventLoopGroup, identity: NodeIdentity, limits: TransportLimits = .init(),
        credential: @escaping @Sendable () -> Credential = { .none },
        security: TransportSecurity = TransportSecurity(), memory: KnownNames? = nil,
        lookup: (@Sendable (String) -> Result<[SocketAddress], NameFailure>)? = nil
    ) {
        limits.check()
        self.group = group
        self.identity = identity
        self.limits = limits
        self.credential = credential
        self.security = security
        let names = NameLookups(
            limits: limits, memory: memory, lookup: lookup ?? NameLookups.system)
        dialer = Dialer(limits: limits, names: names, security: security)
        inbound = InboundConnections(limits: limits)
        storageThreads.start()
        codec.start()
    }

    /// Names who takes what arrives; before that, other nodes' connections are refused. The
    /// delegate is held until `shutdown()`.
    package func attach(_ delegate: any PeerDelegate) {
        state.withLock { state in
            if !state.isShutDown { state.delegate = delegate }
        }
    }

    /// Ends all connections between nodes and lets go of the delegate. Whatever is outstanding
    /// fails. Listeners and HTTP connections belong to others.
    package func shutdown() -> EventLoopFuture<Void> {
        let last = state.withLock { state -> State in
            defer {
                state.isShutDown = true
                state.delegate = nil
                state.links = [:]
                state.forwarding = [:]
            }
            return state
        }
        var channels = inbound.close() + Array(last.calls.values)
        channels += last.links.values.flatMap { $0.close() }
        channels += last.forwarding.values.compactMap { $0.close() }
        for transfer in last.transfers.values {
            transfer.cancel()
            if let channel = transfer.channel { channels.append(channel) }
        }
        for channel in channels { channel.close(promise: nil) }
        let loop = group.next()
        let stopped = loop.makePromise(of: Void.self)
        let (threads, codec) = (storageThreads, codec)
        EventLoopFuture.andAllComplete(channels.map(\.closeFuture), on: loop).whenComplete { _ in
            // Work that is still queued would be cancelled: an empty step lets it begin first.
            threads.runIfActive(eventLoop: loop) {}.whenComplete { _ in
                threads.shutdownGracefully { error in
                    codec.shutdownGracefully { codecError in
                        if let error = error ?? codecError {
                            stopped.fail(error)
                        } else {
                            stopped.succeed()
                        }
                    }
                }
            }
        }
        return stopped.futureResult
    }

    /// Installs what encrypts an accepted connection, if anything does, and ends one that does not come
    /// to terms in time. On the channel's loop.
    func secure(
        _ channel: any Channel, _ security: (any ConnectionSecurity)?, of side: Listener.Side
    ) throws {
        guard let security else { return }
        inbound.mustShow(channel)
        let remote = channel.remoteText
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers(try security.acceptingHandlers())
        try pipeline.addHandler(
            HandshakeWatch(limit: limits.sniffTimeout) { [self] result in
                guard case .failure(let error) = result else {
                    // A node must still be introduced.
                    if side == .clients, !inbound.admitClient(channel) {
                        channel.close(promise: nil)
                    }
                    return
                }
                inbound.count { $0.refusedTLS += 1 }
                let cause = TransportSecurity.failure(error, of: security, address: remote).cause
                observe(
                    security.describe(error).isStranger
                        ? .refusedCertificate(remoteAddress: remote, reason: cause)
                        : .refusedInbound(remoteAddress: remote, reason: cause))
            })
    }

    var delegate: (any PeerDelegate)? { state.withLock { $0.delegate } }

    /// Refusals of strangers are rationed: a flood of them shall not become one of log lines.
    func observe(_ observation: TransportObservation) {
        switch observation {
        case .refusedInbound, .refusedCertificate:
            if !inbound.maySayRefusal() { return }
        case .connected, .disconnected, .forgotten, .messagesDropped, .misrouted, .acceptFailed:
            break
        }
        delegate?.observed(observation)
    }

    // MARK: Messages

    /// Enters a node into the address book; another address than before ends its connections. Any
    /// data directory of that ID may be there: who asks may know an older membership than the other.
    package func setAddress(_ address: PeerAddress, for peer: NodeID) {
        let link = state.withLock { state -> MessageLink? in
            guard !state.isShutDown else { return nil }
            state.whereabouts.remember(address, limit: limits.maxPlaces)
            guard peer != identity.id else { return nil }
            if let link = state.links[peer] { return link }
            let link = MessageLink(peer: peer, address: address, transport: self)
            state.links[peer] = link
            return link
        }
        link?.move(to: address)
    }

    /// Nil for nodes that are not in the address book, and those that were not found where they
    /// should be.
    package func address(of peer: NodeID) -> PeerAddress? {
        state.withLock { $0.links[peer] }?.address
    }

    /// Forgets the node's address and ends its connections. The last that is observed of them is
    /// `forgotten`.
    package func removeAddress(of peer: NodeID) {
        guard let link = state.withLock({ $0.links.removeValue(forKey: peer) }) else { return }
        for channel in link.close() { channel.close(promise: nil) }
        link.silence.whenComplete { [self] _ in observe(.forgotten(peer)) }
    }

    /// Sends each message to its destination, in order per destination. Messages may be lost: then
    /// the delegate hears `peerUnreachable`, except for nodes that are not in the address book.
    package func send(_ messages: [Message]) {
        guard let first = messages.first else { return }
        if messages.allSatisfy({ $0.to == first.to }) { return send(messages, to: first.to) }
        var groups: [(peer: NodeID, messages: [Message])] = []
        for message in messages {
            if let place = groups.firstIndex(where: { $0.peer == message.to }) {
                groups[place].messages.append(message)
            } else {
                groups.append((message.to, [message]))
            }
        }
        for group in groups { send(group.messages, to: group.peer) }
    }

    private func send(_ messages: [Message], to peer: NodeID) {
        let link = state.withLock { state -> MessageLink? in
            let link = state.links[peer]
            if link == nil { state.unroutableMessages += UInt64(messages.count) }
            return link
        }
        link?.send(messages)
    }

    /// A node that speaks can be dialed again at once.
    func heard(from peer: NodeID) {
        state.withLock { $0.links[peer] }?.retryNow()
    }

    // MARK: Names

    /// Finds the addresses of a host's name, as numbers. The callback comes on another thread when
    /// there is an answer, however late: one lookup of a name is under way at a time. Addresses found
    /// before serve while name servers are silent or fail.
    package func lookUp(
        _ host: String, _ done: @escaping @Sendable (Result<[String], NameFailure>) -> Void
    ) {
        dialer.names.lookUp(host, on: group.next()).whenComplete { result in
            switch result {
            case .success(let addresses): done(.success(addresses.compactMap(\.ipAddress)))
            case .failure(let error):
                done(.failure(error as? NameFailure ?? NameFailure(.failed("\(error)"))))
            }
        }
    }

    // MARK: Questions

    /// Asks the node at an address, known or not. Names are resolved and all their addresses tried.
    /// Fails with `TransportError`.
    /// - Parameter node: another one that is there refuses to answer; nil: whoever is there is asked.
    package func call(
        _ request: PeerRequest, at address: PeerAddress, of node: NodeIdentity? = nil,
        timeout: TimeAmount
    ) -> EventLoopFuture<PeerAnswer> {
        let loop = group.next()
        let text = address.rawValue
        if state.withLock({ $0.isShutDown }) {
            return loop.makeFailedFuture(TransportError.shutDown(text))
        }
        let wanted = node.map { Introduction.Wanted(id: $0.id, incarnation: $0.incarnation) }
        let promise = loop.makePromise(of: PeerAnswer.self)
        let limit = limits.maxCallBytes
        let dial = dialer.connect(
            to: address, as: introduction(wanting: wanted), for: .calls, on: loop, timeout: timeout
        ) { [self] channel in
            try channel.pipeline.syncOperations.addHandlers([
                FrameHandler(limit: limit, role: .dialer, address: text, transport: self),
                CallHandler(promise: promise, address: text, security: security),
            ])
            var writer = ByteWriter(reserving: 256)
            // No question carries it that needs it not: addresses may be of strangers.
            let credential = request.need == nil ? Credential.none : self.credential()
            writer.writeFrame(.request) {
                request.encode(into: &$0)
                credential.encodeAtEnd(into: &$0)
            }
            channel.writeAndFlush(ByteBuffer(bytes: writer.bytes), promise: nil)
        }
        dial.whenComplete { [self] result in
            switch result {
            case .success(let channel): keep(channel)
            case .failure(let error): promise.fail(error)
            }
        }
        let deadline = loop.scheduleTask(in: timeout) {
            promise.fail(TransportError.timedOut(text, after: timeout))
        }
        promise.futureResult.whenComplete { _ in
            deadline.cancel()
            dial.whenSuccess { $0.close(promise: nil) }
        }
        return promise.futureResult
    }

    /// Remembers a question's connection for `shutdown()`.
    private func keep(_ channel: any Channel) {
        let key = ObjectIdentifier(channel)
        let isKept = state.withLock { state -> Bool in
            if !state.isShutDown { state.calls[key] = channel }
            return !state.isShutDown
        }
        guard isKept else { return channel.close(promise: nil) }
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { _ = $0.calls.removeValue(forKey: key) }
        }
    }

    // MARK: Forwarding

    /// Sends clients' requests to another node and delivers its replies to `sink`, each exactly
    /// once, with `servedBy` set. They are never sent again: when the connection breaks after that,
    /// the reply is `forwardingFailed`; when no reply comes within a request's timeout and a grace,
    /// it is `timedOut`.
    ///
    /// - Parameters:
    ///   - node: whom they are for: where certificates name nodes, no other at that address gets them,
    ///     and they never left. Nil: whoever is there.
    ///   - unsent: takes the requests that certainly never left this node, instead of a failed reply:
    ///     they may be sent elsewhere. Called on an event loop.
    package func forward(
        _ requests: [ClientRequest], to address: PeerAddress, of node: NodeID? = nil,
        sink: any ReplySink,
        unsent: (@Sendable ([ClientRequest], TransportError) -> Void)? = nil
    ) {
        let target = ForwardLink.Target(address: address, node: node)
        let link = state.withLock { state -> ForwardLink in
            if let link = state.forwarding[target] { return link }
            let link = ForwardLink(to: target, transport: self)
            if state.isShutDown { _ = link.close() } else { state.forwarding[target] = link }
            return link
        }
        link.forward(requests, sink: sink, unsent: unsent)
    }

    /// Asks for more of answers in parts, by the IDs under which `sink` had their requests sent on.
    package func demand(_ demands: [PartDemand], of sink: any ReplySink) {
        let links = state.withLock { Array($0.forwarding.values) }
        for link in links { link.demand(demands, of: sink) }
    }

    /// Nobody waits any more for the replies to these, which were sent on to that address for
    /// `sink`: the other node is told, and no reply to them is delivered from here on, but for what
    /// is on its way to the sink already.
    package func recall(_ ids: [RequestID], of sink: any ReplySink, at address: PeerAddress) {
        let links = state.withLock { state in
            state.forwarding.values.filter { $0.address == address }
        }
        for link in links { link.recall(ids, of: sink) }
    }

    // MARK: Status

    /// Names that are being looked up, with the time since that began: "waiting for DNS: NAME, 4 s".
    package var pendingResolutions: [PendingResolution] {
        dialer.names.pending.map { PendingResolution(name: $0.name, elapsed: $0.elapsed) }
    }

    /// Counters and states of now. From any thread; takes each connection's lock for a moment.
    package var statistics: TransportStatistics {
        let (links, unroutable) = state.withLock {
            (Array($0.links.values), $0.unroutableMessages)
        }
        var statistics = TransportStatistics(
            peers: links.map(\.statistics).sorted { $0.id < $1.id },
            inbound: inbound.statistics, unroutableMessages: unroutable)
        statistics.sentFiles = sentFiles.withLock { $0 }
        statistics.receivedFiles = receivedFiles.withLock { $0 }
        return statistics
    }
}
