import Chance
import NodeLogic
import PeerProtocol
import Raft
import Replication
import WriteAheadLog

/// The disks of a quorum are lost for good, and the operator lets the rest go on by `raft/peers.json`.
///
/// What may be lost then, exactly: entries that were committed, and stand on the disk of no member
/// that is left. Of those that are left the one with the newest log has all that any of them has
/// committed (thesis §3.6.1: a later term's first entry comes after all that was committed before),
/// and since they are too few to spare any, it is the one that leads. So each write that it holds
/// must be found at the end, and all others that were acknowledged are gone.
extension Simulation {
    struct QuorumLoss {
        /// Members that are left; all others begin anew.
        var survivors: [Int]
        /// The operator has written the files.
        var isTold = false
        /// When it does.
        var begins: Int
    }

    /// Needs a settled membership that all know, so that it is certain who makes a quorum.
    func loseQuorum() {
        guard let membership = presentLeader?.machine?.replicated?.raft.membership
        else { return }
        var voters = membership.voters.compactMap { slot(of: $0.id) }
        while voters.count >= membership.quorum {
            voters.remove(at: random.below(voters.count))
        }
        guard !voters.isEmpty else { return }
        faults.quorumsLost += 1
        tell("the disks of all but \(voters.map { nodes[$0].id }) are lost")
        for slot in nodes.indices { stop(slot, losingPower: random.chance(1, of: 2)) }
        quorumLoss = QuorumLoss(survivors: voters, begins: now + random.within(0...3000))
        forgetWhatIsGone(voters)
        for slot in nodes.indices where !voters.contains(slot) {
            nodes[slot].wipe()
            boots[slot] = RandomID(high: random.next(), low: random.next())
        }
    }

    var mayLoseQuorum: Bool {
        guard let raft = presentLeader?.machine?.replicated?.raft,
            raft.membershipIndex <= raft.commitIndex, raft.membership.voters.count >= 2
        else { return false }
        return nodes.allSatisfy { node in
            guard let other = node.machine?.replicated?.raft else { return false }
            // Alone, one whose database is not to be trusted is recovered by nobody.
            return other.membership == raft.membership
                && other.membershipIndex <= other.commitIndex
                && node.machine?.quarantine.cause == nil
                && NodeIdentity(member: raft.membership[node.id] ?? Member.nobody) == node.identity
        }
    }

    private func forgetWhatIsGone(_ survivors: [Int]) {
        let logs = survivors.compactMap { Self.inspect(nodes[$0].disk) }
        guard logs.count == survivors.count,
            let newest = logs.max(by: { !$0.last.isUpToDate(with: $1.last) })
        else { return invariants.broke("the log of a node that is left can't be read") }
        let index = invariants.forget(allBut: newest)
        let lost = clients.forget(after: index, at: now)
        faults.writesLost += lost
        tell("\(lost) acknowledged writes after \(index) are gone")
    }

    /// Nobody starts before the operator has decided, and nobody begins anew before there is a
    /// cluster to join.
    func isWithheld(_ slot: Int) -> Bool {
        guard let quorumLoss else { return false }
        return !quorumLoss.isTold || !quorumLoss.survivors.contains(slot)
    }

    /// The operator's part.
    func recoverQuorum() {
        guard let loss = quorumLoss, now >= loss.begins else { return }
        if !loss.isTold {
            quorumLoss?.isTold = true
            writePeers(loss.survivors)
        } else if loss.survivors.allSatisfy({ nodes[$0].peers == nil }), presentLeader != nil {
            quorumLoss = nil
            faults.quorumsRecovered += 1
            // As its leader asks: it is another cluster, and leaves the old one's entry alone.
            registry.clear()
            for slot in nodes.indices where !loss.survivors.contains(slot) {
                Founding.letJoin(nodes[slot], founding.listed(nodes.map(\.address)))
                schedule(.restart(slot: slot), in: random.within(0...1000))
            }
        }
    }

    private func writePeers(_ survivors: [Int]) {
        // They may come back elsewhere.
        for slot in survivors where random.chance(1, of: 3) {
            lastAddress += 1
            nodes[slot].address = PeerAddress("moved\(lastAddress):4002")
            faults.moves += 1
        }
        let list = survivors.map {
            NamedPeer(id: nodes[$0].id, address: nodes[$0].address, isVoter: true)
        }
        for slot in survivors {
            nodes[slot].peers = PeersRecovery(
                peers: list, path: "raft/peers.json", recordPath: "raft/peers.info")
            schedule(.restart(slot: slot), in: random.within(0...500))
        }
    }
}

extension Member {
    /// A member that no node is.
    fileprivate static let nobody = Member(
        id: NodeID(""), incarnation: Incarnation(RandomID(high: 0, low: 0)),
        address: PeerAddress(""), suffrage: .learner)
}
