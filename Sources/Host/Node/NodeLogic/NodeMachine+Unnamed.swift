import Raft
import Replication

/// Nodes that speak to this one as members do, and that its log does not name: it may be the older of the two.
/// Such a one may lead, or ask for this node's vote (thesis §4.1), and an answer has nowhere to go but where that
/// node says that it is. Where this vote makes a majority nobody else is there to name it.
extension NodeMachine {
    /// More than a membership changes by while a voter is away. Whoever speaks may name itself as it likes.
    private static var mostUnnamed: Int { 16 }

    /// Candidates whom the log does not name are answered while nobody leads, and where the leader wants it.
    mutating func meetCandidates(_ messages: [Message]) {
        for message in messages {
            guard case .voteRequest(let request) = message.body, message.cluster == cluster,
                replicated != nil, request.isTransfer || replicated?.raft.leader == nil,
                identityWatch.places[message.from.id]?.incarnation == message.from.incarnation
            else { continue }
            meetUnnamed(message.from.id)
        }
    }

    /// It must be answered.
    mutating func meetUnnamed(_ id: NodeID) {
        guard id != options.identity.id, replicated?.raft.membership.contains(id) == false,
            let place = identityWatch.places[id], acquaintances.hinted(place.address, for: id)
        else { return }
        emit(.setAddress(place.address, for: id))
        unnamed.removeAll { $0 == id }
        unnamed.append(id)
        if unnamed.count > Self.mostUnnamed { forgetUnnamed([unnamed.removeFirst()]) }
    }

    /// A member leads, so that whoever asked for votes is known by now, or was none.
    mutating func forgetUnnamed() {
        guard !unnamed.isEmpty, let raft = replicated?.raft, let leader = raft.leader,
            raft.membership.contains(leader), raft.membership.contains(options.identity.id)
        else { return }
        let gone = unnamed
        unnamed = []
        forgetUnnamed(gone)
    }

    private mutating func forgetUnnamed(_ ids: [NodeID]) {
        for id in ids where replicated?.raft.membership.contains(id) == false {
            if id != replicated?.raft.leader { forget(id) }
        }
    }
}
