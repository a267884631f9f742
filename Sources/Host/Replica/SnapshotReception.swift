import PeerProtocol
import Raft
import Synchronization
import Transport

/// Answers offers of snapshots for the node, one transfer at a time: `IncomingSnapshots` decides,
/// this carries out. Called from event loops and from the transport's threads.
final class SnapshotReception: Sendable {
    typealias Reply = @Sendable (SnapshotDecision) -> Void

    private struct State {
        var incoming = IncomingSnapshots()
        var replies: [IncomingSnapshotID: Reply] = [:]
    }

    private let directory: String
    private let state = Mutex(State())

    /// - Parameter directory: the data directory, without a slash at its end.
    init(directory: String) {
        self.directory = directory
    }

    /// - Parameter leader: whom this node takes for the leader.
    func offered(
        _ offer: SnapshotOffer, leader: NodeID?, through transport: Transport,
        reply: @escaping Reply
    ) {
        perform(through: transport) { state in
            let (id, actions) = state.incoming.offered(offer, leader: leader)
            state.replies[id] = reply
            return actions
        }
    }

    func arrived(_ id: IncomingSnapshotID, through transport: Transport) {
        perform(through: transport) { $0.incoming.arrived(id) }
    }

    /// Nothing of the transfer is left, or what it brought is installed or thrown away.
    func ended(_ id: IncomingSnapshotID, through transport: Transport) {
        perform(through: transport) { $0.incoming.ended(id) }
    }

    private func perform(
        through transport: Transport, _ step: (inout State) -> [IncomingSnapshots.Action]
    ) {
        let orders = state.withLock { state -> [(IncomingSnapshots.Action, Reply?)] in
            step(&state).map { action in
                switch action {
                case .accept(let id), .refuse(let id, _):
                    (action, state.replies.removeValue(forKey: id))
                case .stop: (action, nil)
                }
            }
        }
        for (action, reply) in orders {
            switch action {
            case .accept(let id): reply?(.accept(id, path: path(of: id)))
            case .refuse(_, let text): reply?(.refuse(text))
            case .stop(let id, let reason): transport.stopReceiving(id, reason: reason)
            }
        }
    }

    /// Named so that a start takes it for remains, as it does the database directory's own incoming
    /// files, and like none of them.
    private func path(of id: IncomingSnapshotID) -> String {
        "\(directory)/incoming-received-\(id).sqlite"
    }
}
