package import Raft

/// Names one offered snapshot and the transfer it becomes. Given by the node, counted up, never used
/// again while the process lives.
package struct IncomingSnapshotID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    package var description: String { "\(rawValue)" }
}

/// What a node says to an offered snapshot.
package enum SnapshotDecision: Equatable, Sendable {
    /// It shall be written to a new file at `path`, at which nothing may stand.
    case accept(IncomingSnapshotID, path: String)
    /// It isn't wanted; the text goes to the sender.
    case refuse(String)
}

/// Which offered snapshots a node takes: one at a time. An offer of a newer leader supersedes the
/// transfer under way, and is answered only when that has stopped and its file is closed.
///
///     offered → accept │ refuse │ stop the older, then accept
///     arrived: the file is the node's; nothing supersedes it until installed
///     ended: stopped, broken off or installed
package struct IncomingSnapshots: Sendable {
    package enum Action: Equatable, Sendable {
        case accept(IncomingSnapshotID)
        case refuse(IncomingSnapshotID, String)
        /// Ordered once per transfer; `ended` follows.
        case stop(IncomingSnapshotID, String)
    }

    private struct Transfer: Sendable {
        var id: IncomingSnapshotID
        var offer: SnapshotOffer
        var isStopping = false
        var hasArrived = false
    }

    private var transfer: Transfer?
    private var waiting: (id: IncomingSnapshotID, offer: SnapshotOffer)?
    private var lastID: UInt64 = 0

    package init() {}

    /// The transfer under way, or the snapshot that is being installed.
    package var current: IncomingSnapshotID? { transfer?.id }

    /// - Parameter leader: whom this node takes for the leader, if any.
    /// - Returns: the offer's name, and what to do in this order; the offer itself may have to wait
    ///   for its answer.
    package mutating func offered(
        _ offer: SnapshotOffer, leader: NodeID?
    ) -> (id: IncomingSnapshotID, actions: [Action]) {
        lastID += 1
        let id = IncomingSnapshotID(lastID)
        guard let transfer else {
            self.transfer = Transfer(id: id, offer: offer)
            return (id, [.accept(id)])
        }
        guard !transfer.hasArrived else {
            return (id, [.refuse(id, "another snapshot is being installed")])
        }
        let last = waiting?.offer ?? transfer.offer
        guard Self.supersedes(offer, last, leader: leader) else {
            return (id, [.refuse(id, "a snapshot of node \(last.id.sender) is being received")])
        }
        var actions: [Action] = []
        if let waiting { actions.append(.refuse(waiting.id, Self.superseded(by: offer))) }
        waiting = (id, offer)
        if !transfer.isStopping {
            self.transfer?.isStopping = true
            actions.append(.stop(transfer.id, Self.superseded(by: offer)))
        }
        return (id, actions)
    }

    /// The file is complete and the node's.
    package mutating func arrived(_ id: IncomingSnapshotID) -> [Action] {
        guard transfer?.id == id else { return [] }
        transfer?.hasArrived = true
        defer { waiting = nil }
        return waiting.map { [.refuse($0.id, "another snapshot is being installed")] } ?? []
    }

    /// Nothing of the transfer is left: it was stopped, broke off, was refused in the end, or is
    /// installed.
    package mutating func ended(_ id: IncomingSnapshotID) -> [Action] {
        guard transfer?.id == id else { return [] }
        transfer = waiting.map { Transfer(id: $0.id, offer: $0.offer) }
        defer { waiting = nil }
        return waiting.map { [.accept($0.id)] } ?? []
    }

    /// A leader of a higher term, the same sender again, or, where terms aren't told, the one whom
    /// this node follows.
    private static func supersedes(
        _ new: SnapshotOffer, _ old: SnapshotOffer, leader: NodeID?
    ) -> Bool {
        if let newTerm = new.term, let oldTerm = old.term, newTerm != oldTerm {
            return newTerm > oldTerm
        }
        return new.id.sender == old.id.sender || new.id.sender == leader
    }

    private static func superseded(by offer: SnapshotOffer) -> String {
        "a newer offer, of node \(offer.id.sender), takes its place"
    }
}
