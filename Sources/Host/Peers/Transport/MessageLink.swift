import NIOCore
import PeerProtocol
import Raft
import Synchronization

/// The way to one peer: where it is, as far as is known, and two connections there.
///
/// Appends go over one of them in their order; all else goes over the other, and so does a copy of
/// each heartbeat while entries are backed up, so that no size of entry keeps a leader from being
/// heard. Raft tolerates that the two overtake each other.
///
/// An address at which somebody else answers is forgotten. Another that is heard of, from the peer
/// or of it, is tried when the present one fails; while the peer is known to be at the present one,
/// it stays.
final class MessageLink: Sendable {
    private struct State {
        /// Nil: lost, until it is heard of.
        var address: PeerAddress?
        /// The other place where it may be.
        var alternative: PeerAddress?
        /// Streams at whose other end the peer has shown itself, at the present address.
        var confirmed: Set<MessageStream.Role> = []
        /// Connections in a row that failed or broke at once.
        var failures = 0
        var hasSaidLost = false
        var hasEverConnected = false
        /// The delegate knows that messages are lost, until the next connection.
        var hasReportedLoss = false
        var lastError: TransportError?
        var lastAddress: PeerAddress

        mutating func go(to address: PeerAddress) {
            self.address = address
            lastAddress = address
            confirmed = []
        }
    }

    let peer: NodeID
    private let transport: PeerTransport
    private let state: Mutex<State>
    // Made after all else, for they refer to the link.
    private let streams = Mutex<[MessageStream]>([])

    init(peer: NodeID, address: PeerAddress, transport: PeerTransport) {
        self.peer = peer
        self.transport = transport
        state = Mutex(State(address: address, lastAddress: address))
        let streams = MessageStream.Role.allCases.map {
            MessageStream($0, of: self, transport: transport)
        }
        self.streams.withLock { $0 = streams }
    }

    /// Nil while nobody knows where the peer is.
    var address: PeerAddress? { state.withLock { $0.address } }

    /// It was said that there is no connection.
    var isMissed: Bool { state.withLock { $0.hasSaidLost } }

    var wanted: Introduction.Wanted {
        Introduction.Wanted(id: peer)
    }

    private var allStreams: [MessageStream] { streams.withLock { $0 } }

    private func stream(_ role: MessageStream.Role) -> MessageStream {
        streams.withLock { $0[role.rawValue] }
    }

    var statistics: TransportStatistics.Peer {
        let (address, lastAddress, error) = state.withLock {
            ($0.address, $0.lastAddress, $0.lastError)
        }
        let counters = allStreams.map(\.counters)
        var statistics = TransportStatistics.Peer(
            id: peer, address: address ?? lastAddress, state: .idle)
        statistics.lastError = error
        for counters in counters {
            statistics.queuedBytes += counters.queuedBytes
            statistics.queuedMessages += counters.queuedMessages
            statistics.sentMessages += counters.sentMessages
            statistics.sentBytes += counters.sentBytes
            statistics.droppedMessages += counters.droppedMessages
            statistics.connections += counters.connections
        }
        let order: [TransportStatistics.ConnectionState] = [.connected, .dialing, .waiting]
        statistics.state =
            address == nil
            ? .lost : order.first { state in counters.contains { $0.state == state } } ?? .idle
        return statistics
    }

    func send(_ messages: [Message]) {
        var urgent: [Message] = []
        var appends: [Message] = []
        for message in messages {
            guard case .appendEntries = message.body else {
                urgent.append(message)
                continue
            }
            appends.append(message)
        }
        let log = stream(.log)
        if log.isBacklogged, let last = appends.last(where: \.isHeartbeat) {
            urgent.append(last.signOfLife)
        }
        if !appends.isEmpty { log.send(appends) }
        if !urgent.isEmpty { stream(.urgent).send(urgent) }
    }

    // MARK: Where it is

    /// By order: the connections to another address end.
    func move(to address: PeerAddress) {
        let isNew = state.withLock { state -> Bool in
            guard state.address != address else { return false }
            state.alternative = state.address
            state.go(to: address)
            return true
        }
        if isNew { for stream in allStreams { stream.redial() } }
    }

    /// The peer says that it is there, or was met there.
    func heard(at address: PeerAddress) {
        let (mustRetry, mustRedial) = state.withLock { state -> (Bool, Bool) in
            if state.address == address { return (true, false) }
            guard state.confirmed.isEmpty, state.address == nil || state.failures > 0 else {
                state.alternative = address
                return (true, false)
            }
            state.alternative = state.address
            state.go(to: address)
            return (false, true)
        }
        if mustRedial { for stream in allStreams { stream.redial() } }
        if mustRetry { retryNow() }
    }

    /// It is lost, and may be there.
    func found(at address: PeerAddress) {
        let isLost = state.withLock { state -> Bool in
            guard state.address == nil else { return false }
            state.go(to: address)
            return true
        }
        if isLost { for stream in allStreams { stream.redial() } }
    }

    func retryNow() {
        for stream in allStreams { stream.retryNow() }
    }

    /// - Returns: what is open.
    func close() -> [any Channel] { allStreams.compactMap { $0.close() } }

    /// What its streams were just at when it was closed is over.
    var silence: EventLoopFuture<Void> {
        EventLoopFuture.andAllComplete(
            allStreams.map { $0.loop.submit {} }, on: transport.group.next())
    }
}

// MARK: What its streams report, on their event loops

extension MessageLink {
    func connected(_ role: MessageStream.Role, to address: PeerAddress) {
        let isFirst = state.withLock { state -> Bool in
            if role == .log { state.hasReportedLoss = false }
            defer { state.hasEverConnected = true }
            return !state.hasEverConnected && !state.hasSaidLost
        }
        if isFirst { transport.observe(.connected(peer, address, isBack: false)) }
    }

    func confirmed(_ role: MessageStream.Role, at address: PeerAddress) {
        state.withLock { state in
            guard state.address == address else { return }
            state.confirmed.insert(role)
            state.alternative = nil
        }
    }

    /// A connection is up for longer than the pause between two.
    func held(_ role: MessageStream.Role, at address: PeerAddress) {
        let isBack = state.withLock { state -> Bool in
            guard state.address == address else { return false }
            state.failures = 0
            defer { state.hasSaidLost = false }
            return state.hasSaidLost
        }
        if isBack { transport.observe(.connected(peer, address, isBack: true)) }
    }

    /// - Returns: the pause before the next dial; nil: none, or nowhere to dial to.
    func failed(
        _ role: MessageStream.Role, at address: PeerAddress, _ error: TransportError,
        afterHolding: Bool, lost: Int
    ) -> TimeAmount? {
        let limits = transport.limits
        let (delay, saysLost) = state.withLock { state -> (TimeAmount?, Bool) in
            if afterHolding { state.failures = 0 }
            let delay = limits.backoff(after: state.failures)
            state.failures += 1
            state.lastError = error
            state.confirmed.remove(role)
            defer { state.hasSaidLost = true }
            let saysLost = !state.hasSaidLost
            guard state.address == address else { return (nil, saysLost) }
            if case .otherNode = error.reason {
                state.address = nil
                if let alternative = state.alternative { state.go(to: alternative) }
                state.alternative = nil
                return (state.address == nil || state.failures < 3 ? nil : delay, saysLost)
            }
            if state.confirmed.isEmpty, let alternative = state.alternative {
                state.alternative = address
                state.go(to: alternative)
                if state.failures == 1 { return (nil, saysLost) }
            }
            return (delay, saysLost)
        }
        if saysLost { transport.observe(.disconnected(peer, error)) }
        if case .otherNode(let found) = error.reason {
            transport.misrouted(peer, found: found, at: address, messages: lost)
        }
        lostMessages(role)
        return delay
    }

    func overflowed(_ role: MessageStream.Role, count: Int) {
        transport.observe(.messagesDropped(peer, count: count))
        if role == .log { transport.delegate?.peerUnreachable(peer) }
    }

    /// There is no address to send them to.
    func unroutable(_ role: MessageStream.Role, count: Int) {
        transport.unroutable(count)
        lostMessages(role)
    }

    /// Only appends are waited for; all else is asked again by its own clock.
    func lostMessages(_ role: MessageStream.Role) {
        guard role == .log else { return }
        let isNews = state.withLock { state -> Bool in
            defer { state.hasReportedLoss = true }
            return !state.hasReportedLoss
        }
        if isNews { transport.delegate?.peerUnreachable(peer) }
    }
}
