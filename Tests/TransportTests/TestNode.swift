import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Service
import Synchronization
import Transport
import Wire

/// A transport with a listener on a free loopback port and a delegate that notes what it hears.
struct TestNode {
    let transport: PeerTransport
    let listener: Listener
    let delegate: RecordingDelegate

    var address: PeerAddress { listener.address }
    var id: NodeID { transport.identity.id }

    static func start(
        _ name: String, at address: PeerAddress = PeerAddress("127.0.0.1:0"),
        limits: TransportLimits = .quick, security: TransportSecurity = TransportSecurity(),
        http: Listener.HTTPInstaller? = nil
    ) async throws -> TestNode {
        let identity = NodeIdentity(
            id: NodeID(name), incarnation: Incarnation(RandomID(high: 1, low: 2)))
        let transport = PeerTransport(
            group: MultiThreadedEventLoopGroup.singleton, identity: identity, limits: limits,
            security: security)
        let delegate = RecordingDelegate()
        transport.attach(delegate)
        let listener = try await Listener.bind(
            address, transport: transport, http: http ?? { $0.close() }
        ).get()
        delegate.ownPresence.withLock {
            $0 = PeerPresence(cluster: Samples.cluster, address: listener.address)
        }
        return TestNode(transport: transport, listener: listener, delegate: delegate)
    }

    func stop() async throws {
        try await listener.close().get()
        try await transport.shutdown().get()
    }

    func knows(_ other: TestNode) { transport.setAddress(other.address, for: other.id) }

    /// Lets the event loops work for a while, where there is nothing to wait for.
    func pause(_ time: TimeAmount) async throws { try await TransportTests.pause(time) }

    /// A message that isn't an append.
    func vote(_ number: UInt64, to peer: NodeID) -> Message {
        Message(
            cluster: Samples.cluster, from: transport.identity, to: peer, term: Term(number),
            body: .voteAnswer(.init(isPreVote: true, granted: true)))
    }

    /// A message whose term numbers it.
    /// - Parameter sender: nil: this node.
    func message(
        _ number: UInt64, to peer: NodeID, payload: Int? = nil, from sender: NodeIdentity? = nil
    ) -> Message {
        var entries: [Entry] = []
        if let payload {
            entries = [
                Entry(
                    index: LogIndex(1), term: Term(1),
                    payload: .command([UInt8](repeating: 7, count: payload)))
            ]
        }
        return Message(
            cluster: Samples.cluster, from: sender ?? transport.identity, to: peer,
            term: Term(number),
            body: .appendEntries(
                .init(previous: .zero, entries: entries, commitIndex: .zero, round: number)))
    }
}

extension TransportLimits {
    /// Pauses of tests are short; deadlines that must not pass stay long.
    static var quick: TransportLimits {
        var limits = TransportLimits()
        limits.minBackoff = .milliseconds(5)
        limits.maxBackoff = .milliseconds(20)
        // A test that waits for a processor is neither a stranger nor a stalled sender.
        limits.sniffTimeout = .minutes(5)
        limits.snapshotStallTimeout = limits.snapshotGrace
        return limits
    }
}

/// Notes everything, and answers as the test says.
final class RecordingDelegate: PeerDelegate {
    struct Forwarded: Sendable {
        var requests: [ClientRequest]
        var sink: any ReplySink
    }

    struct Received: Sendable {
        var id: IncomingSnapshotID
        var offer: SnapshotOffer
        var path: String
        var done: @Sendable (String?) -> Void
    }

    struct Offered: Sendable {
        var offer: SnapshotOffer
        var reply: @Sendable (SnapshotDecision) -> Void
    }

    typealias Answering =
        @Sendable (PeerRequest, PeerCaller, @escaping @Sendable (PeerAnswer) -> Void) -> Void

    let batches = Mailbox<[Message]>()
    let unreachable = Mailbox<NodeID>()
    let forwards = Mailbox<Forwarded>()
    let observations = Mailbox<TransportObservation>()
    let snapshots = Mailbox<Received>()
    let failedSnapshots = Mailbox<TransportError>()
    let endedSnapshots = Mailbox<IncomingSnapshotID>()
    let offers = Mailbox<Offered>()
    let answering = Mutex<Answering>({ _, _, reply in reply(.failed("not set")) })
    /// Nil: the test replies itself, later.
    let deciding = Mutex<@Sendable (SnapshotOffer) -> SnapshotDecision?>({ _ in
        .refuse("not set")
    })

    let misroutings = Mailbox<Misrouting>()
    let spoken = Mailbox<Spoken>()
    let ownPresence = Mutex(PeerPresence())

    struct Misrouting: Equatable, Sendable {
        var wanted: NodeID
        var found: NodeID
        var address: PeerAddress
    }

    struct Spoken: Equatable, Sendable {
        var id: NodeID
        var address: PeerAddress
    }

    var presence: PeerPresence { ownPresence.withLock { $0 } }

    func misrouted(wanted: NodeID, found: Introduction, at address: PeerAddress) {
        misroutings.put(Misrouting(wanted: wanted, found: found.identity.id, address: address))
    }

    let breaches = Mailbox<Spoken>()

    func brokeProtocol(_ identity: NodeIdentity, cause: String) {
        breaches.put(Spoken(id: identity.id, address: PeerAddress(cause)))
    }

    func peerSpoke(_ identity: NodeIdentity, advertised: PeerAddress, from: String) {
        spoken.put(Spoken(id: identity.id, address: advertised))
    }

    /// Credits are kept while a test says so.
    let keepsCredits = Mutex(false)
    let credits = Mutex<[MessageCredit]>([])

    func received(_ messages: [Message], credit: MessageCredit) {
        if keepsCredits.withLock({ $0 }) { credits.withLock { $0.append(credit) } }
        batches.put(messages)
    }

    func answer(
        _ request: PeerRequest, from caller: PeerCaller,
        reply: @escaping @Sendable (PeerAnswer) -> Void
    ) {
        answering.withLock { $0 }(request, caller, reply)
    }

    func peerUnreachable(_ peer: NodeID) { unreachable.put(peer) }

    func forwarded(
        _ requests: [ClientRequest], from caller: PeerCaller, replyTo sink: any ReplySink
    ) {
        forwards.put(Forwarded(requests: requests, sink: sink))
    }

    let demands = Mailbox<PartDemand>()
    let recalls = Mailbox<RequestID>()

    func demanded(_ demands: [PartDemand], replyTo sink: any ReplySink) {
        self.demands.put(contentsOf: demands)
    }

    func recalled(_ requests: [RequestID], replyTo sink: any ReplySink) {
        recalls.put(contentsOf: requests)
    }

    func prepareSnapshot(
        _ offer: SnapshotOffer, from caller: PeerCaller,
        reply: @escaping @Sendable (SnapshotDecision) -> Void
    ) {
        if let decision = deciding.withLock({ $0 })(offer) { reply(decision) }
        offers.put(Offered(offer: offer, reply: reply))
    }

    func snapshotReceived(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, path: String,
        done: @escaping @Sendable (String?) -> Void
    ) {
        snapshots.put(Received(id: id, offer: offer, path: path, done: done))
    }

    func snapshotFailed(
        _ id: IncomingSnapshotID, _ offer: SnapshotOffer, error: TransportError
    ) {
        failedSnapshots.put(error)
        endedSnapshots.put(id)
    }

    func observed(_ observation: TransportObservation) { observations.put(observation) }

    /// All messages so far, over all batches.
    func messages(atLeast count: Int) async throws -> [Message] {
        try await batches.wait { $0.reduce(0) { $0 + $1.count } >= count }.flatMap { $0 }
    }
}

/// Notes replies.
final class RecordingSink: ReplySink {
    let replies = Mailbox<Reply>()
    let takesParts: Bool

    init(takesParts: Bool = false) { self.takesParts = takesParts }

    func deliver(_ replies: [Reply]) { self.replies.put(contentsOf: replies) }
}

/// Lets the event loops work for a while.
func pause(_ time: TimeAmount) async throws {
    try await MultiThreadedEventLoopGroup.singleton.next().scheduleTask(in: time) {}
        .futureResult.get()
}

/// Looks again and again, with a limit that only a broken program reaches.
func until(_ condition: () throws -> Bool) async throws {
    let limit = NIODeadline.now() + .seconds(300)
    while try !condition() {
        guard NIODeadline.now() < limit else { throw WaitedTooLong(seen: "nothing") }
        try await pause(.milliseconds(2))
    }
}
