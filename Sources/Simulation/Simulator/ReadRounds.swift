import Raft

/// Whether a leader that serves a linearizable read was confirmed after the read was asked for: by a
/// quorum of voters that answered a round begun since then (thesis §6.4).
struct ReadRounds {
    private struct Round: Hashable {
        var slot: Int
        var term: Term
        var number: UInt64
    }

    private struct Answerer: Hashable {
        var slot: Int
        var term: Term
        var id: NodeID
    }

    /// When a leader first asked, in simulated milliseconds.
    private var begun: [Round: Int] = [:]
    /// When the newest round began that the member answered.
    private var answered: [Answerer: Int] = [:]
    /// The terms in which the node of each slot led, in order.
    private var terms: [Int: [Term]] = [:]

    mutating func sent(_ message: Message, slot: Int, at now: Int) {
        guard case .appendEntries(let append) = message.body else { return }
        if terms[slot]?.last != message.term { terms[slot, default: []].append(message.term) }
        let round = Round(slot: slot, term: message.term, number: append.round)
        if begun[round] == nil { begun[round] = now }
    }

    mutating func arrived(_ message: Message, slot: Int) {
        guard case .appendAnswer(let answer) = message.body,
            let time = begun[Round(slot: slot, term: message.term, number: answer.round)]
        else { return }
        let answerer = Answerer(slot: slot, term: message.term, id: message.from.id)
        answered[answerer] = max(answered[answerer] ?? 0, time)
    }

    /// A read that was confirmed waits until the database has reached its index; meanwhile the node may have
    /// lost its leadership and got it again.
    /// - Parameter memberships: those that may have been in force; one suffices.
    func confirm(
        _ node: SimulatedNode, since asked: Int, _ memberships: [Membership]
    ) -> Bool {
        (terms[node.slot] ?? [.zero]).reversed().contains {
            isConfirmed(in: $0, node, since: asked, memberships)
        }
    }

    private func isConfirmed(
        in term: Term, _ node: SimulatedNode, since asked: Int, _ memberships: [Membership]
    ) -> Bool {
        memberships.contains { membership in
            let count = membership.voters.count { voter in
                let answerer = Answerer(slot: node.slot, term: term, id: voter.id)
                return voter.id == node.id || answered[answerer].map { $0 >= asked } ?? false
            }
            return count >= membership.quorum
        }
    }
}
