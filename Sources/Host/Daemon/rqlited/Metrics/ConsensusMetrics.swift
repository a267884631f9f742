import NodeLogic
import Raft
import Telemetry

/// Of `/metrics`: what consensus stands at, as of the last turn of the node's machine.
struct ConsensusMetrics {
    var status: NodeStatus
    var options: NodeOptions

    var families: [MetricFamily] { position + membership + followers + dropped }

    private var position: [MetricFamily] {
        let roles: [RoleName] = [.leader, .follower, .candidate, .preCandidate]
        return [
            MetricFamily(
                "rqlited_raft_role", .gauge, "1 for the role that the node has",
                roles.map { .init(status.role == $0 ? 1 : 0, [("role", $0.rawValue)]) }),
            gauge("rqlited_raft_term", "The newest term seen", status.term.rawValue),
            gauge(
                "rqlited_raft_commit_index", "Every entry through here is on a quorum's disks",
                status.commitIndex.rawValue),
            gauge(
                "rqlited_raft_applied_index", "Every entry through here is in this node's database",
                status.appliedIndex.rawValue),
            gauge(
                "rqlited_raft_durable_index", "Every entry through here is on this node's disk",
                status.durableIndex.rawValue),
            gauge(
                "rqlited_raft_last_index", "The newest entry of this node's log",
                status.lastPosition.index.rawValue),
            gauge(
                "rqlited_raft_checkpointed_index",
                "The database file holds every entry through here without SQLite's log",
                status.checkpointedIndex.rawValue),
            MetricFamily(
                "rqlited_raft_leader_silence_seconds", .gauge,
                "Since a follower last heard its leader; absent on a leader",
                status.role == .leader
                    ? [] : status.sinceLeader.map { [.init(.duration($0))] } ?? []),
        ]
    }

    private var membership: [MetricFamily] {
        let members = status.membership.members
        let voters = status.membership.voters.count
        return [
            MetricFamily(
                "rqlited_raft_members", .gauge, "Members of the cluster, by whether they vote",
                [
                    .init(voters, [("suffrage", "voter")]),
                    .init(members.count - voters, [("suffrage", "nonvoter")]),
                ]),
            MetricFamily(
                "rqlited_raft_members_reaped_total", .counter,
                "Silent members that this node, as leader, removed or could not remove",
                [
                    .init(status.reapings.succeeded, [("result", "ok")]),
                    .init(status.reapings.failed, [("result", "failed")]),
                ]),
        ]
    }

    /// A leader's alone.
    private var followers: [MetricFamily] {
        let others = status.progress.filter { $0.id != options.identity.id }
        func samples(
            _ value: (PeerProgress) -> MetricFamily.Value
        ) -> [MetricFamily.Sample] {
            others.map { .init(value($0), [("peer", $0.id.rawValue)]) }
        }
        return [
            MetricFamily(
                "rqlited_raft_follower_lag_entries", .gauge,
                "Entries of the leader's log that a follower is not known to have; on a leader",
                samples {
                    let behind = $0.matchIndex.distance(to: status.lastPosition.index)
                    return .integer(Int64(max(0, behind)))
                }),
            MetricFamily(
                "rqlited_raft_follower_silence_seconds", .gauge,
                "Since a follower last answered; on a leader",
                samples { .duration(options.tick * $0.ticksSinceAnswer) }),
        ]
    }

    private var dropped: [MetricFamily] {
        let reasons = status.droppedMessages.sorted { $0.key.rawValue < $1.key.rawValue }
        return [
            MetricFamily(
                "rqlited_raft_dropped_messages_total", .counter,
                "Messages that the consensus core refused, by reason",
                reasons.map { .init($0.value, [("reason", $0.key.rawValue)]) })
        ]
    }

    private func gauge(_ name: String, _ help: String, _ value: UInt64) -> MetricFamily {
        MetricFamily(name, .gauge, help, [.init(value)])
    }
}

extension LogIndex {
    fileprivate func distance(to later: LogIndex) -> Int { later.distance(from: self) }
}
