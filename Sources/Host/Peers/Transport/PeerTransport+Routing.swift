import NIOCore
import PeerProtocol
import Raft
import Synchronization

/// Where nodes are, by what was said and seen: beyond the address book, which has one address per
/// member.
struct Whereabouts {
    /// Where a node was met, or says that it is.
    var heardOf: [NodeID: PeerAddress] = [:]
    /// What nodes that dialed this one said of themselves last.
    var spoken: [NodeID: (incarnation: Incarnation, address: PeerAddress)] = [:]
    /// All addresses that ever were some member's, the latest last.
    var places: [PeerAddress] = []
    /// Nodes that were not found where they should be, and are looked for.
    var lost: Set<NodeID> = []
    var isSearching = false
    var searches = 0

    /// A node said where it is. Where as many did as are remembered, all that are nobody's peers make room: who
    /// speaks now is of more use than who spoke once.
    /// - Returns: whether that is news.
    mutating func spoke(
        _ node: NodeIdentity, at address: PeerAddress, limit: Int, isPeer: (NodeID) -> Bool
    ) -> Bool {
        let last = spoken[node.id]
        if let last, last.incarnation == node.incarnation, last.address == address { return false }
        if last == nil, spoken.count >= limit { spoken = spoken.filter { isPeer($0.key) } }
        spoken[node.id] = (node.incarnation, address)
        return true
    }

    mutating func remember(_ address: PeerAddress, limit: Int) {
        places.removeAll { $0 == address }
        places.append(address)
        if places.count > limit { places.removeFirst() }
    }
}

/// Finding nodes that are not where they should be. Whoever is met says who it is; who dials says
/// where it is; and where neither helps, all addresses that ever were some member's are asked.
extension PeerTransport {
    func introduction(wanting wanted: Introduction.Wanted? = nil) -> Introduction {
        let presence = delegate?.presence
        return Introduction(
            identity: identity, cluster: presence?.cluster, address: presence?.address,
            wanted: wanted)
    }

    func unroutable(_ count: Int) {
        state.withLock { $0.unroutableMessages += UInt64(count) }
    }

    /// Another node answered where `peer` should be.
    func misrouted(
        _ peer: NodeID, found: Introduction, at address: PeerAddress, messages: Int
    ) {
        let known = state.withLock { state -> PeerAddress? in
            state.unroutableMessages += UInt64(messages)
            if state.whereabouts.heardOf[peer] == address {
                state.whereabouts.heardOf[peer] = nil
            }
            return state.whereabouts.heardOf[peer]
        }
        observe(.misrouted(wanted: peer, found: found.identity.id, at: address))
        delegate?.misrouted(wanted: peer, found: found, at: address)
        met(found.identity, of: found.cluster, at: address)
        let link = state.withLock { $0.links[peer] }
        guard let link, link.address == nil else { return }
        if let known {
            link.found(at: known)
        } else {
            state.withLock { _ = $0.whereabouts.lost.insert(peer) }
            search()
        }
    }

    /// A node was met at an address.
    private func met(_ other: NodeIdentity, of cluster: ClusterID?, at address: PeerAddress) {
        guard other.id != identity.id, isOurs(cluster) else { return }
        let link = state.withLock { state -> MessageLink? in
            guard let link = state.links[other.id] else { return nil }
            state.whereabouts.heardOf[other.id] = address
            state.whereabouts.lost.remove(other.id)
            return link
        }
        link?.heard(at: address)
    }

    private func isOurs(_ cluster: ClusterID?) -> Bool {
        guard let cluster, let own = delegate?.presence.cluster else { return true }
        return cluster == own
    }

    /// A node has dialed this one and introduced itself.
    func spoke(_ introduction: Introduction, from remoteAddress: String) {
        let other = introduction.identity
        guard let address = introduction.address, other.id != identity.id,
            isOurs(introduction.cluster)
        else {
            state.withLock { $0.links[other.id] }?.retryNow()
            return
        }
        let isNews = state.withLock { state -> Bool in
            let links = state.links
            return state.whereabouts.spoke(other, at: address, limit: limits.maxAcquaintances) {
                links[$0] != nil
            }
        }
        if isNews { delegate?.peerSpoke(other, advertised: address, from: remoteAddress) }
        met(other, of: introduction.cluster, at: address)
    }

    // MARK: Searching

    /// Asks all addresses that were ever some member's who is there, again and again until nobody is
    /// lost any more.
    private func search() {
        let round = state.withLock { state -> Int? in
            let isDue = !state.whereabouts.isSearching && !state.isShutDown
            guard isDue, !state.whereabouts.lost.isEmpty else { return nil }
            state.whereabouts.isSearching = true
            return state.whereabouts.searches
        }
        guard let round else { return }
        let delay: TimeAmount = round == 0 ? .zero : limits.backoff(after: round)
        group.next().scheduleTask(in: delay) { [weak self] in self?.askEverywhere() }
    }

    private func askEverywhere() {
        let presence = delegate?.presence
        var places = state.withLock { $0.whereabouts.places }
        for member in presence?.members ?? [] where !places.contains(member.address) {
            places.append(member.address)
        }
        places.removeAll { $0 == presence?.address }
        let calls = places.suffix(limits.maxPlaces).map { place in
            call(.hello, at: place, timeout: limits.dialTimeout).map { [weak self] answer in
                guard case .hello(let hello) = answer else { return }
                self?.met(hello.identity, of: hello.cluster, at: place)
            }
        }
        EventLoopFuture.andAllComplete(calls, on: group.next()).whenComplete { [weak self] _ in
            guard let self else { return }
            state.withLock { state in
                state.whereabouts.isSearching = false
                state.whereabouts.searches += 1
                state.whereabouts.lost = state.whereabouts.lost.filter {
                    state.links[$0].map { $0.address == nil } ?? false
                }
                if state.whereabouts.lost.isEmpty { state.whereabouts.searches = 0 }
            }
            search()
        }
    }
}
