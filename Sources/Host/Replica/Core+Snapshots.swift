import PeerProtocol
import Raft
import Replication
import StateMachine
import Telemetry
import Transport

/// A snapshot of this node's database on its way to a follower.
struct SnapshotSending: Sendable {
    var peer: NodeID
    var generation: Generation
    /// Nil: none could be had, for the reason given.
    var source: Result<SnapshotSource, PreparationFailure>
}

/// A snapshot from the leader that lies complete on disk.
struct SnapshotArrival: Sendable {
    var offer: SnapshotOffer
    var path: String
    /// Nil: installed; else why not.
    var done: @Sendable (String?) -> Void
}

struct PreparationFailure: Error, Sendable, CustomStringConvertible {
    var description: String
}

/// Snapshots under way in either direction, at most one each.
struct SnapshotTraffic {
    var sendingTo: NodeID?
    /// The database file is held for the one being sent.
    var isOpen = false
    var waiting: [NodeID] = []
    var arrivals: [SnapshotToken: SnapshotArrival] = [:]
    var installing: SnapshotToken?
}

/// Snapshots out to followers that are too far behind, and in from the leader.
extension Core {
    // MARK: Out

    func snapshotWanted(by peer: NodeID) {
        guard snapshots.sendingTo == nil else {
            if !snapshots.waiting.contains(peer) { snapshots.waiting.append(peer) }
            return
        }
        snapshots.sendingTo = peer
        links.logger.info("follower needs a snapshot", ["node.id": "\(peer)"])
        links.apply.post(.openSnapshot(for: peer))
    }

    func snapshotOpened(_ sending: SnapshotSending) {
        let mailbox = links.mailbox
        switch sending.source {
        case .failure(let failure):
            links.logger.warning("no snapshot to send", ["cause": failure.description])
            mailbox.post(.snapshotSent(to: sending.peer, through: nil))
        case .success(let source):
            snapshots.isOpen = true
            guard let cluster else { return }
            let offer = SnapshotOffer(
                cluster: cluster,
                id: SnapshotID(
                    sender: options.identity.id, generation: sending.generation.rawValue,
                    index: source.mark.position.index),
                mark: source.mark, byteCount: UInt64(source.byteCount))
            let logger = links.logger
            links.transport.sendSnapshot(offer, from: SnapshotStream(source), to: sending.peer) {
                result in
                switch result {
                case .success:
                    let index = offer.mark.position.index
                    logger.info(
                        "snapshot sent",
                        ["node.id": "\(sending.peer)", "raft.index": "\(index)"])
                    mailbox.post(.snapshotSent(to: sending.peer, through: index))
                case .failure(let error):
                    logger.warning(
                        "snapshot not sent",
                        ["node.id": "\(sending.peer)", "cause": "\(error)"])
                    mailbox.post(.snapshotSent(to: sending.peer, through: nil))
                }
            }
        }
    }

    func snapshotSent(to peer: NodeID, through index: LogIndex?) {
        snapshots.sendingTo = nil
        if snapshots.isOpen { links.apply.post(.closeSnapshot) }
        snapshots.isOpen = false
        replicated?.snapshotSent(to: peer, through: index)
        if !snapshots.waiting.isEmpty { snapshotWanted(by: snapshots.waiting.removeFirst()) }
    }

    // MARK: In

    func snapshotReceived(_ arrival: SnapshotArrival) {
        guard replicated != nil, arrival.offer.cluster == cluster else {
            return arrival.done("this node is not in cluster \(arrival.offer.cluster)")
        }
        let token = SnapshotToken(newID())
        snapshots.arrivals[token] = arrival
        replicated?.snapshotReceived(arrival.offer.mark, token: token)
    }

    func discardSnapshot(_ token: SnapshotToken) {
        guard let arrival = snapshots.arrivals.removeValue(forKey: token) else { return }
        links.apply.post(.discardFile(arrival.path))
        arrival.done(nil)
    }

    func installSnapshot(_ mark: SnapshotMark, _ token: SnapshotToken) {
        guard let arrival = snapshots.arrivals[token] else { return }
        links.logger.info("installing snapshot", ["raft.index": "\(mark.position.index)"])
        snapshots.installing = token
        links.apply.post(.prepare(path: arrival.path, mark))
    }

    func databasePrepared(_ mark: SnapshotMark, _ result: Result<Generation, PreparationFailure>) {
        switch result {
        case .success(let generation):
            // One durable record in the log switches to the new file; until then the old one holds.
            links.log.post(.reset(mark, generation))
        case .failure(let failure):
            links.logger.error("received snapshot is unusable", ["cause": failure.description])
            replicated?.snapshotUnusable()
            finishInstallation(failure.description)
        }
    }

    func databaseSwitched(_ mark: SnapshotMark, _ path: String) {
        links.readers.switchTo(path)
        replicated?.snapshotInstalled(mark)
        servableFrom = mark.position.index
        membershipChanged(mark.membership)
        links.logger.info("snapshot installed", ["raft.index": "\(mark.position.index)"])
        finishInstallation(nil)
    }

    private func finishInstallation(_ problem: String?) {
        guard let token = snapshots.installing else { return }
        snapshots.installing = nil
        snapshots.arrivals.removeValue(forKey: token)?.done(problem)
    }
}
