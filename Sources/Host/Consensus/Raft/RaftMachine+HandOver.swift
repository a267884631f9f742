/// A leader whose own log can't be written hands over to a voter whose log can. It replicates from
/// memory meanwhile, so the others go on committing; what it can't do is promise anything itself.
extension RaftMachine {
    /// Asks one voter after the other, the most up-to-date first, each for an election timeout. When
    /// none takes it the leader steps down, and they elect one of them.
    mutating func tickHandOver() {
        guard isStalled, case .leader(let leader) = roleState, leader.transfer == nil,
            canOthersCommit
        else { return }
        if let successor = ableSuccessor(besides: leader.handOver?.tried ?? []) {
            lead {
                $0.handOver = $0.handOver ?? HandOver()
                $0.handOver?.tried.append(successor)
                $0.transfer = Transfer(target: successor)
            }
            continueTransfer()
        } else if leader.handOver != nil {
            becomeFollower(term: term, leader: nil, because: .storageStalled)
        }
    }

    /// The other voters are a quorum without this node, as far as they answer and write, or wait for
    /// entries that only this node's disk holds: another leader has them. Otherwise nothing would be won by a new leader: it could commit no more than this one, and if this
    /// node's vote is needed there would be none.
    private var canOthersCommit: Bool {
        guard case .leader(let leader) = roleState else { return false }
        let able = membership.voters.count { voter in
            leader[voter.id].map { isAble($0) || waitsForThisLog($0) } ?? false
        }
        return able >= membership.quorum
    }

    /// It answers, and acknowledges what it is sent. Half the time that makes a write a stuck one
    /// counts here, so that nodes whose disks stop together don't take each other for able.
    func isAble(_ peer: Progress) -> Bool {
        peer.ticksSinceAnswer < settings.electionTicks
            && peer.ticksSinceProgress < max(1, settings.stallTicks / 2)
    }

    /// It answers, and lacks entries that were asked of this node's disk and didn't come.
    private func waitsForThisLog(_ peer: Progress) -> Bool {
        peer.ticksSinceAnswer < settings.electionTicks && peer.fetch != nil
    }

    /// The able voter that holds most, the first by ID among equals.
    func ableSuccessor(besides tried: [NodeID]) -> NodeID? {
        guard case .leader(let leader) = roleState else { return nil }
        var best: Progress?
        for peer in leader.progress
        where membership.isVoter(peer.id) && isAble(peer) && !tried.contains(peer.id) {
            if peer.matchIndex > best?.matchIndex ?? .zero { best = peer }
        }
        return best?.id
    }
}
