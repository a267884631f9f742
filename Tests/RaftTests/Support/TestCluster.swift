import Raft

/// Some nodes and the messages between them. Whoever uses it decides what is delivered, lost,
/// repeated or late.
struct TestCluster {
    var nodes: [TestNode] = []
    var network: [Message] = []
    var settings: RaftSettings
    /// Messages from the first to the second node vanish.
    var cuts: Set<[NodeID]> = []
    /// What the nodes reported, in order.
    var events: [(node: NodeID, text: String)] = []
    var observations: [(node: NodeID, observation: Observation)] = []
    var committed: [(node: NodeID, entries: [Entry])] = []
    var confirmed: [(node: NodeID, read: Effects.ConfirmedRead)] = []
    /// Snapshots are sent and arrive by themselves where the network lets them.
    var sendsSnapshots = true

    init(settings: RaftSettings) { self.settings = settings }

    func place(_ node: Int) -> Int? { nodes.firstIndex { $0.identity.id == nodeID(node) } }

    mutating func add(_ node: Int, incarnation number: Int = 0, disk: TestDisk, seed: UInt64 = 0) {
        let made = TestNode(
            identity: identity(node, number), disk: disk, settings: settings,
            seed: seed &+ UInt64(node))
        if let place = place(node) { nodes[place] = made } else { nodes.append(made) }
        if let place = place(node) { drain(place) }
    }

    mutating func restart(_ place: Int, seed: UInt64) {
        let old = nodes[place]
        nodes[place] = TestNode(
            identity: old.identity, disk: old.disk, settings: settings, seed: seed)
        nodes[place].hasSlowDisk = old.hasSlowDisk
        drain(place)
    }

    func isCut(_ from: NodeID, _ to: NodeID) -> Bool { cuts.contains([from, to]) }

    /// Performs all effects of a node, as its driver would.
    mutating func drain(_ place: Int) {
        var effects = nodes[place].raft.takeEffects()
        while !effects.isEmpty {
            perform(effects, on: place)
            if !nodes[place].hasSlowDisk { post(nodes[place].persist()) }
            let applied = nodes[place].apply()
            if !applied.isEmpty { committed.append((nodes[place].identity.id, applied)) }
            effects = nodes[place].raft.takeEffects()
        }
    }

    mutating func persist(_ place: Int, count: Int = .max) {
        post(nodes[place].persist(count: count))
        let applied = nodes[place].apply()
        if !applied.isEmpty { committed.append((nodes[place].identity.id, applied)) }
        drain(place)
    }

    mutating func deliver(_ message: Message) {
        guard let place = nodes.firstIndex(where: { $0.identity.id == message.to }),
            !nodes[place].isDown, !isCut(message.from.id, message.to)
        else { return }
        nodes[place].raft.receive(message)
        drain(place)
    }

    private mutating func post(_ messages: [Message]) { network += messages }

    private mutating func perform(_ effects: Effects, on place: Int) {
        let id = nodes[place].identity.id
        network += effects.messages
        if let persist = effects.persist { nodes[place].writes.append(persist) }
        nodes[place].held += effects.messagesAfterPersist
        nodes[place].committed += effects.committed
        for observation in effects.observations {
            observations.append((id, observation))
            events.append((id, observation.text))
        }
        for read in effects.reads {
            confirmed.append((id, read))
            events.append((id, "read \(read.id.rawValue) at \(read.index)"))
        }
        for read in effects.failedReads {
            events.append((id, "read \(read.rawValue) failed"))
        }
        for fetch in effects.logFetches {
            events.append((id, "fetches from \(fetch.from) for \(fetch.peer)"))
            let entries = nodes[place].disk.entries.filter { $0.index >= fetch.from }
            let reachesBack = entries.first?.index == fetch.from
            nodes[place].raft.fetched(
                reachesBack ? entries.batch(bytes: fetch.byteLimit) : [], for: fetch)
        }
        for peer in effects.snapshotsWanted {
            events.append((id, "snapshot wanted by \(peer)"))
            if sendsSnapshots { sendSnapshot(from: place, to: peer) }
        }
    }

    mutating func sendSnapshot(from place: Int, to peer: NodeID) {
        let sender = nodes[place]
        guard let target = nodes.firstIndex(where: { $0.identity.id == peer }),
            !nodes[target].isDown, !isCut(sender.identity.id, peer),
            let mark = sender.disk.snapshot(at: sender.appliedIndex)
        else {
            nodes[place].raft.snapshotSent(to: peer, through: nil)
            return
        }
        install(mark, on: target)
        nodes[place].raft.snapshotSent(to: peer, through: mark.position.index)
    }

    mutating func install(_ mark: SnapshotMark, on place: Int) {
        // The log's writes are done in order, so those asked for earlier come first.
        persist(place)
        guard mark.position.index > nodes[place].appliedIndex else { return }
        nodes[place].disk.install(mark)
        nodes[place].appliedIndex = mark.position.index
        nodes[place].committed.removeAll { $0.index <= mark.position.index }
        nodes[place].raft.snapshotInstalled(mark)
        drain(place)
    }
}

extension [Entry] {
    fileprivate func batch(bytes limit: Int) -> [Entry] {
        var bytes = 0
        return Array(
            enumerated().prefix { offset, entry in
                bytes += entry.size
                return offset == 0 || bytes <= limit
            }.map(\.element))
    }
}
