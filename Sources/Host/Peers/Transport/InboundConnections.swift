import NIOCore
import PeerProtocol
import Raft
import Synchronization

/// Counts and bounds what other machines opened, so that it can be closed.
final class InboundConnections: Sendable {
    /// A connection between nodes, and who opened it.
    private struct Peer {
        var channel: any Channel
        var origin: Strangers.Origin
        var speaker: NodeIdentity
        /// Where the speaker says that it is reached.
        var place: PeerAddress?
        var purpose: ConnectionPurpose
        /// Counts those that were introduced.
        var number: UInt64

        var source: Source { Source(speaker: speaker, origin: origin) }
    }

    /// Who opens connections in a node's name: without encryption anybody can, though not from that node's host.
    private struct Source: Hashable {
        var speaker: NodeIdentity
        var origin: Strangers.Origin
    }

    /// Nothing is taken from this identity at this place for a while.
    private struct Unwanted {
        var identity: NodeIdentity
        var place: PeerAddress
        var cause: String
        var until: NIODeadline
    }

    private struct State {
        var statistics = TransportStatistics.Inbound()
        var strangers: Strangers
        var peers: [ObjectIdentifier: Peer] = [:]
        var unwanted: [Unwanted] = []
        /// Refused ones that wait for their dialer to close.
        var refusing: [ObjectIdentifier: any Channel] = [:]
        /// All that were accepted and have not closed.
        var open = 0
        var isClosed = false
        /// Refusals said since `refusalsSince`.
        var refusals = 0
        var refusalsSince = NIODeadline.now()
        var lastIntroduced: UInt64 = 0

        /// A place for a connection of a member, where there is none left.
        /// - Parameter members: as the membership is now: when others were introduced it may not have been known yet.
        /// - Returns: who must go for that, to be closed; not under the lock. Nil: nobody.
        mutating func makeRoom(
            for purpose: ConnectionPurpose, members: [NodeIdentity]
        ) -> (any Channel)? {
            if let gone = removeOldest(where: { !members.contains($0.speaker) }) { return gone }
            let usual = InboundConnections.usualOfMember
            if let gone = removeOldestOfCrowd(ofQuestions: false, beyond: usual)
                ?? removeOldestOfCrowd(ofQuestions: true, beyond: peers.count / 2)
            {
                return gone
            }
            guard purpose != .calls else { return nil }
            return removeOldest(where: { $0.purpose == .calls })
        }

        /// The oldest of who has most in one name and from one host, if these are more than so many.
        private mutating func removeOldestOfCrowd(
            ofQuestions: Bool, beyond usual: Int
        ) -> (any Channel)? {
            let crowd = peers.values.filter { ($0.purpose == .calls) == ofQuestions }
            var counts: [Source: Int] = [:]
            for peer in crowd { counts[peer.source, default: 0] += 1 }
            guard let most = counts.values.max(), most > usual else { return nil }
            return removeOldest {
                ($0.purpose == .calls) == ofQuestions && counts[$0.source] == most
            }
        }

        private mutating func removeOldest(where mayGo: (Peer) -> Bool) -> (any Channel)? {
            let oldest = peers.filter { mayGo($0.value) }.min { $0.value.number < $1.value.number }
            return oldest.flatMap { peers.removeValue(forKey: $0.key)?.channel }
        }
    }

    /// A member needs no more, but for questions: for messages and signs of life, for clients' requests, for a
    /// snapshot, and the same again while those from before a loss of the network are not known to be lost.
    private static let usualOfMember = 8

    private let limits: TransportLimits
    /// Frames that are arriving, of nodes that say that they are of this cluster, and of others.
    let arriving: ByteBudget
    let untrusted: ByteBudget
    /// Messages that the delegate has not taken.
    let untaken = ReceiveGate.Total()
    private let state: Mutex<State>

    init(limits: TransportLimits) {
        self.limits = limits
        arriving = ByteBudget(limit: limits.maxArrivingBytes)
        untrusted = ByteBudget(limit: limits.maxUntrustedBytes)
        state = Mutex(
            State(
                strangers: Strangers(
                    most: limits.maxUnidentified, mostOfOrigin: limits.maxUnidentifiedOfOrigin)))
    }

    /// A stranger; another may be closed for it, see `Strangers`.
    /// - Returns: false when the connection must be closed.
    func accepted(_ channel: any Channel) -> Bool {
        let (isAccepted, gone) = state.withLock { state -> (Bool, (any Channel)?) in
            guard !state.isClosed else { return (false, nil) }
            var gone: (any Channel)?
            if state.open >= limits.maxConnections {
                gone = state.strangers.removeOldest()
                guard gone != nil else {
                    state.statistics.refusedOverLimit += 1
                    return (false, nil)
                }
            }
            state.open += 1
            gone = state.strangers.add(channel) ?? gone
            if gone != nil { state.statistics.refusedOverLimit += 1 }
            return (true, gone)
        }
        gone?.close(promise: nil)
        guard isAccepted else { return false }
        whenClosed(channel)
        return true
    }

    private func whenClosed(_ channel: any Channel) {
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { state in
                state.open -= 1
                state.strangers.remove(channel)
            }
        }
    }

    /// A connection that was accepted goes on as another channel.
    func moved(_ channel: any Channel) {
        state.withLock { $0.open += 1 }
        whenClosed(channel)
    }

    /// Who it is must still be shown: by TLS, or by the introduction of a node.
    func mustShow(_ channel: any Channel) {
        let gone = state.withLock { state -> (any Channel)? in
            let gone = state.strangers.add(channel)
            if gone != nil { state.statistics.refusedOverLimit += 1 }
            return gone
        }
        gone?.close(promise: nil)
    }

    /// The connection has shown what it is, or has closed.
    func identified(_ channel: any Channel) {
        state.withLock { $0.strangers.remove(channel) }
    }

    /// The connection is a client's, and no stranger's any more.
    /// - Returns: false when there are too many: what is left is for nodes.
    func admitClient(_ channel: any Channel) -> Bool {
        state.withLock { state in
            state.strangers.remove(channel)
            let clients = state.open - state.strangers.count - state.peers.count
            guard clients <= limits.maxConnections - limits.connectionsForNodes else {
                state.statistics.refusedOverLimit += 1
                return false
            }
            return true
        }
    }

    /// The dialer has said who it is, and may speak. Without encryption nothing of that is proved: so where there
    /// are too many connections of nodes, one goes for a member's, first of all one that no member has opened.
    /// - Parameter members: of this node's cluster.
    /// - Returns: false when there are too many.
    func introduced(
        _ channel: any Channel, _ introduction: Introduction, _ purpose: ConnectionPurpose,
        members: [NodeIdentity]
    ) -> Bool {
        let key = ObjectIdentifier(channel)
        let isMember = members.contains(introduction.identity)
        let origin = Strangers.origin(channel.remoteAddress)
        let (isAdmitted, gone) = state.withLock { state -> (Bool, (any Channel)?) in
            guard !state.isClosed else { return (false, nil) }
            var gone: (any Channel)?
            if state.peers.count >= limits.placesOfNodes {
                gone = isMember ? state.makeRoom(for: purpose, members: members) : nil
                guard gone != nil else { return (false, nil) }
                state.statistics.refusedOverLimit += 1
            }
            state.strangers.remove(channel)
            state.lastIntroduced += 1
            state.peers[key] = Peer(
                channel: channel, origin: origin, speaker: introduction.identity,
                place: introduction.address, purpose: purpose, number: state.lastIntroduced)
            return (true, gone)
        }
        gone?.close(promise: nil)
        guard isAdmitted else { return false }
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { _ = $0.peers.removeValue(forKey: key) }
        }
        return true
    }

    /// Refuses who bears the identity at the place from now on, but for questions: by these it
    /// learns, and so do others, which of two processes the cluster knows.
    func refuse(_ identity: NodeIdentity, at place: PeerAddress, cause: String) {
        state.withLock { state in
            let now = NIODeadline.now()
            state.unwanted.removeAll {
                $0.until <= now || $0.identity == identity && $0.place == place
            }
            if state.unwanted.count >= limits.maxUnwanted { state.unwanted.removeFirst() }
            state.unwanted.append(
                Unwanted(
                    identity: identity, place: place, cause: cause,
                    until: now + limits.unwantedTime))
        }
    }

    /// Takes back `refuse`.
    func accept(_ identity: NodeIdentity, at place: PeerAddress) {
        state.withLock { state in
            state.unwanted.removeAll { $0.identity == identity && $0.place == place }
        }
    }

    /// Why a connection that is introduced so must not be; nil: it may.
    func refusal(of introduction: Introduction, _ purpose: ConnectionPurpose) -> String? {
        guard purpose != .calls, let place = introduction.address else { return nil }
        let now = NIODeadline.now()
        return state.withLock { state in
            state.unwanted.first {
                $0.identity == introduction.identity && $0.place == place && $0.until > now
            }?.cause
        }
    }

    /// What a node with this identity opened.
    /// - Parameter place: only what was opened from there, and no questions; nil: all.
    func connections(of identity: NodeIdentity, at place: PeerAddress?) -> [any Channel] {
        state.withLock { state in
            state.peers.values.filter { peer in
                guard peer.speaker == identity else { return false }
                return place == nil || peer.place == place && peer.purpose != .calls
            }.map(\.channel)
        }
    }

    /// False when a refused connection must be closed at once, for too many wait already.
    func mayLinger(_ channel: any Channel) -> Bool {
        let key = ObjectIdentifier(channel)
        let mayLinger = state.withLock { state in
            guard !state.isClosed, state.refusing.count < limits.maxRefusing else { return false }
            state.refusing[key] = channel
            return true
        }
        guard mayLinger else { return false }
        channel.closeFuture.whenComplete { [self] _ in
            state.withLock { _ = $0.refusing.removeValue(forKey: key) }
        }
        return true
    }

    /// False when enough of them were said of late.
    func maySayRefusal() -> Bool {
        state.withLock { state in
            let now = NIODeadline.now()
            if now - state.refusalsSince > limits.refusalPeriod {
                state.refusals = 0
                state.refusalsSince = now
            }
            state.refusals += 1
            return state.refusals <= limits.maxRefusalsSaid
        }
    }

    func count(_ body: (inout TransportStatistics.Inbound) -> Void) {
        state.withLock { body(&$0.statistics) }
    }

    var statistics: TransportStatistics.Inbound {
        state.withLock { state in
            var statistics = state.statistics
            statistics.peers = state.peers.count
            statistics.unidentified = state.strangers.count
            statistics.arrivingBytes = arriving.taken + untrusted.taken
            statistics.untakenBytes = untaken.bytes.load(ordering: .relaxed)
            return statistics
        }
    }

    /// Admits nothing any more.
    /// - Returns: what is open.
    func close() -> [any Channel] {
        state.withLock { state in
            state.isClosed = true
            return state.strangers.channels + state.peers.values.map(\.channel)
                + Array(state.refusing.values)
        }
    }
}
