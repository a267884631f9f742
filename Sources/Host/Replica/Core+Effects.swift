import Cluster
import Raft
import Replication
import Service
import Telemetry
import Time
import Transport

/// Carries out what the replicated log decided, in its order.
extension Core {
    func performEffects() {
        // Carrying out an effect may give rise to others (a finished change starts the next).
        while let effects = replicated?.takeEffects(), !effects.isEmpty {
            for effect in effects { perform(effect) }
        }
    }

    private func perform(_ effect: ReplicationEffect) {
        switch effect {
        case .send(let messages): outgoing.append(contentsOf: messages)
        case .persist(let write):
            // Replication goes out before the own disk is asked, so that both work at once.
            if !outgoing.isEmpty {
                links.transport.send(outgoing)
                outgoing.removeAll(keepingCapacity: true)
            }
            links.log.post(.write(write))
        case .apply(let batch): apply(batch)
        case .refused(let id, let refusal): refused(id, refusal)
        case .discarded(let ids): discarded(ids)
        case .readable(let ids): readable(ids)
        case .readsFailed(let ids): readsFailed(ids)
        case .fetchLog(let fetch): links.log.post(.fetch(fetch))
        case .sendSnapshot(let peer): snapshotWanted(by: peer)
        case .compactLog(let index): links.log.post(.compact(through: index))
        case .installSnapshot(let mark, let token): installSnapshot(mark, token)
        case .discardSnapshot(let token): discardSnapshot(token)
        case .observe(let observation): observe(observation)
        }
    }

    private func apply(_ batch: ApplyBatch) {
        var answers: [ApplyJob.Answer] = []
        answers.reserveCapacity(batch.completions.count)
        for completion in batch.completions {
            guard let open = openProposals.removeValue(forKey: completion.id) else { continue }
            switch open {
            case .command(let pending):
                answers.append(
                    .init(
                        index: completion.index, target: pending.target,
                        deadline: pending.deadline))
            case .membership: membershipQueue.committed(now: now)
            case .own: break
            }
        }
        links.apply.post(.apply(batch.entries, answers))
    }

    private func observe(_ observation: Observation) {
        let log = links.logger
        switch observation {
        case .roleChanged(let role, let term):
            log.info("role changed", ["raft.role": role.rawValue, "raft.term": "\(term)"])
            if role == .leader { becameLeader() } else { leaderReadsFrom = nil }
        case .leaderChanged(let leader, let term):
            leaderChanged(leader, term: term)
        case .membershipChanged(let membership, let index):
            membershipChanged(membership)
            log.info(
                "membership changed",
                ["members": membership.summary, "raft.index": "\(index)"])
        case .membershipCommitted: break
        case .steppedDown(let reason):
            log.warning("stepped down as leader", ["reason": reason.rawValue])
            if reason == .removed { wasRemoved("as leader, it committed its own removal") }
        case .messageDropped(let from, let reason):
            links.board.countDroppedMessage(reason)
            log.debug("message dropped", ["node.id": "\(from)", "reason": reason.rawValue])
        case .followerUnreachable(let id):
            log.warning("follower does not answer", ["node.id": "\(id)"])
        case .entriesDiscarded(let index):
            log.info("uncommitted entries discarded", ["raft.index": "\(index)"])
        case .transferFinished(let target, let succeeded):
            transferFinished(to: target, succeeded: succeeded)
        }
    }

    private func becameLeader() {
        links.logger.announce(
            "this node (ID=\(options.identity.id), addr=\(options.address)) is now Leader")
        acquaintanceAsked = [:]
        // A new cluster's settings come before anything that clients wait to write.
        if replicated?.raft.lastPosition.index == LogIndex(1), options.foreignKeys {
            proposeSettings()
        }
    }

    private func leaderChanged(_ leader: NodeID?, term: Term) {
        ledSince = leader == nil ? nil : now
        if leader != nil { heardLeader() }
        if let leader, leader != options.identity.id {
            let address = address(of: leader)?.rawValue ?? "unknown address"
            links.logger.announce("node \(leader) at \(address) is now Leader")
        } else if leader == nil {
            links.logger.info("Leader is now unknown")
        }
        retryParked()
    }

    // MARK: Leadership

    /// Notes from where on this leader's database holds all that its predecessors acknowledged.
    func updateLeadership() {
        guard let raft = replicated?.raft, raft.isReadyLeader else {
            leaderReadsFrom = nil
            return
        }
        guard leaderReadsFrom == nil else { return }
        leaderReadsFrom = raft.commitIndex
    }

    func transfer(_ pending: PendingRequest, to target: NodeID?, wait: Bool) {
        do throws(Refusal) {
            try replicated?.transferLeadership(to: target)
            if wait {
                transferWaiters.append(pending)
            } else {
                replies.add(.done, to: pending.target)
            }
        } catch {
            replies.add(.failed(.transfer(error)), to: pending.target)
        }
    }

    private func transferFinished(to target: NodeID?, succeeded: Bool) {
        links.logger.info(
            "leadership transfer finished",
            ["to": target?.rawValue ?? "nobody", "succeeded": "\(succeeded)"])
        for pending in transferWaiters {
            let outcome: Outcome =
                succeeded ? .done : .failed(.timedOut(waitingFor: "leadership transfer"))
            replies.add(outcome, to: pending.target)
        }
        transferWaiters = []
    }
}

extension Membership {
    /// For log lines: `1@host:4002 voter, 2@host:4004 learner`.
    var summary: String {
        members.map { "\($0.id)@\($0.address) \($0.suffrage)" }.joined(separator: ", ")
    }
}
