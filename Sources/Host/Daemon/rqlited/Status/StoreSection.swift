import Glibc
import JSON
import NodeLogic
import PeerProtocol
import Raft
import Replica
import Service
import Settings
import StateMachine
import Telemetry
import Time
import Transport

/// The `store` section of `/status`, with rqlite's member names where the thing exists here, and
/// our own beside them.
struct StoreSection: Sendable {
    var node: Node
    var settings: NodeSettings
    var usage: DiskUsage
    /// What is wrong now.
    var troubles: @Sendable () -> [StateLog.Trouble]
    /// Gets when the database's files were changed last.
    var database: @Sendable (WallTime) -> JSONValue

    /// A member of `db_conf`, where there are any.
    private var extensions: [JSONValue.Member] {
        let files = SQLExtensions.current.files
        return files.isEmpty
            ? [] : [.init("extensions", .array(files.map { .string($0.path) }))]
    }

    func document() -> JSONValue {
        let status = node.status
        let options = node.options
        let usage = usage.current(node.databaseStatistics?.path)
        return .object([
            .init("addr", .string(options.address.rawValue)),
            .init("apply", apply(status)),
            .init("apply_timeout", .string(settings.raft.applyTimeout.goText)),
            .init("checkpointed_index", .integer(status.checkpointedIndex.rawValue)),
            .init("checksums", checksums(status)),
            .init("cluster_id", status.cluster.map { .string("\($0)") } ?? .null),
            .init(
                "cdc", .object([.init("enabled", .bool(false)), .init("registered", .bool(false))])),
            .init("commit_timeout", .string(settings.raft.timing.heartbeatInterval.goText)),
            .init("db_applied_index", .integer(status.appliedIndex.rawValue)),
            .init("db_conf", databaseSettings),
            .init("dir", .string(options.dataDirectory)),
            .init("dir_size", .integer(usage.all)),
            .init("dir_size_friendly", .string("\(ByteSize(bytes: usage.all))")),
            .init("disk_full", .bool(status.isDiskFull)),
            .init("durable_index", .integer(status.durableIndex.rawValue)),
            .init("election_timeout", .string(settings.raft.timing.electionTimeout.goText)),
            .init("fsm_index", .integer(status.appliedIndex.rawValue)),
            .init("fsm_term", .integer(status.appliedTerm.rawValue)),
            .init("fsm_update_time", .string(node.applyTimes.applied.rfc3339)),
            .init("heartbeat_timeout", .string(settings.raft.timing.heartbeatTimeout.goText)),
            .init("incarnation", .string("\(options.identity.incarnation)")),
            .init("leader", leader(status)),
            .init("leader_appended_at_time", .string(node.applyTimes.proposed.rfc3339)),
            .init("node_id", .string(options.identity.id.rawValue)),
            .init("limits", .object(status.limitValues.map { .init($0.name, .integer($0.value)) })),
            .init("nodes", .array(status.membership.members.map(member))),
            .init("open", true),
            .init(
                "other_sqlite_builds",
                .array(status.otherEngines.map { .string($0.rawValue) })),
            .init("pending", pending(status)),
            .init("quarantine", status.quarantine.map { .string($0.text) } ?? .null),
            .init("raft", raft(status, logSize: usage.log)),
            .init("ready", .bool(status.isReady)),
            .init("reap_read_only_timeout", duration(settings.raft.reapReadOnlyTimeout)),
            .init("reap_timeout", duration(settings.raft.reapTimeout)),
            .init("reaping", .array(status.reapingDue.map(reapingDue))),
            .init("request_marshaler", RqliteConstants.marshaler),
            .init("removed", .bool(status.exclusion != .none)),
            .init("no_freelist_sync", .bool(false)),
            .init("observer", .object([.init("dropped", 0), .init("observed", 0)])),
            .init("snapshot_cas", .object([.init("owner", .null)])),
            .init("snapshot_interval", .string(settings.checkpoint.interval.goText)),
            .init("snapshot_store", snapshotStore),
            .init("snapshot_threshold", .integer(settings.checkpoint.entries)),
            .init("strong_read_term", 0),
            .init("sqlite3", database(usage.lastModified)),
            .init("trailing_logs", .integer(settings.checkpoint.trailingEntries)),
            .init("troubles", .array(troubles().map(trouble))),
            .init("waiting_for", .string(status.waitingFor)),
        ])
    }

    private var databaseSettings: JSONValue {
        let foreignKeys = node.databaseStatistics?.foreignKeys ?? false
        return .object([.init("fk_constraints", .bool(foreignKeys))] + extensions)
    }

    /// There is none here: the database file is the one snapshot.
    private var snapshotStore: JSONValue {
        .object([
            .init("dir", .string(node.options.dataDirectory)), .init("dir_size", 0),
            .init("snapshots", .array([])),
        ])
    }

    /// The same that the log said when it began.
    private func trouble(_ trouble: StateLog.Trouble) -> JSONValue {
        .object([
            .init("about", .string(trouble.subject)), .init("age", .string(trouble.age.goText)),
            .init("cause", .string(trouble.reason)), .init("state", .string(trouble.what)),
        ])
    }

    /// Whether the log is applied; if not, why, and what the ways out are.
    private func apply(_ status: NodeStatus) -> JSONValue {
        guard let halt = status.halt else { return .object([.init("state", "applying")]) }
        let note = status.haltNote
        var members: [JSONValue.Member] = [
            .init("state", .string(halt.state)), .init("reason", .string(note?.text ?? "")),
            .init("index", .integer(halt.index.rawValue)), .init("hash", .integer(halt.hash)),
        ]
        if case .suspected(let entry) = halt {
            members += [
                .init("statement", .string(entry.statement)),
                .init("text", .integer(entry.places.text)),
                .init("offset", .integer(entry.places.offset)),
                .init("ends", .integer(entry.ends)),
                .init("try_again", .string(note?.tryAgain ?? "")),
                .init("skip", .string(note?.skip ?? "")),
            ]
        }
        return .object(members)
    }

    /// What this node found at the last marker that all nodes take their checksums at.
    private func checksums(_ status: NodeStatus) -> JSONValue {
        guard let reading = status.checksums else { return .null }
        let piece: JSONValue =
            switch reading.piece {
            case .none: .null
            case .read(let digest): .string("\(digest)")
            case .damaged: "damaged"
            }
        return .object([
            .init("content", piece), .init("index", .integer(reading.index.rawValue)),
            .init("writes", reading.trace.map { .string("\($0)") } ?? .null),
        ])
    }

    private func leader(_ status: NodeStatus) -> JSONValue {
        .object([
            .init("addr", .string(status.leader?.address.rawValue ?? "")),
            .init("node_id", .string(status.leader?.id.rawValue ?? "")),
        ])
    }

    private func duration(_ limit: Duration?) -> JSONValue {
        .string((limit ?? .zero).goText)
    }

    private func reapingDue(_ due: (id: NodeID, remaining: Duration)) -> JSONValue {
        .object([
            .init("due_in", .string(due.remaining.goText)), .init("id", .string(due.id.rawValue)),
        ])
    }

    private func member(_ member: Member) -> JSONValue {
        .object([
            .init("addr", .string(member.address.rawValue)),
            .init("id", .string(member.id.rawValue)),
            .init("incarnation", .string("\(member.incarnation)")),
            .init("suffrage", .string(member.suffrage.description)),
        ])
    }

    /// What waits in this node, and for what.
    private func pending(_ status: NodeStatus) -> JSONValue {
        .object([
            .init("membership_changes", .integer(status.pendingMembershipChanges)),
            .init("parked_requests", .integer(status.parkedRequests)),
            .init("proposals", .integer(status.openProposals)),
        ])
    }

    private func raft(_ status: NodeStatus, logSize: Int) -> JSONValue {
        let own = node.options.identity.id
        let voters = status.membership.voters
        let isVoter = status.membership.isVoter(own)
        let peers = isVoter ? voters.count - 1 : 0
        let learned = status.role == .leader ? 0 : status.commitIndex.rawValue
        return .object([
            .init("bolt", RqliteConstants.bolt), .init("config", config(own)),
            .init("log_size", .integer(logSize)),
            .init("log_size_friendly", .string("\(ByteSize(bytes: logSize))")),
            .init("protocol_version", 3), .init("protocol_version_max", 3),
            .init("protocol_version_min", 0), .init("snapshot_version_max", 1),
            .init("snapshot_version_min", 0),
            .init(
                "transport",
                .object([
                    .init("command_commit_index", .integer(learned)),
                    .init("compress_snap", .bool(settings.checkpoint.packsSnapshots)),
                    .init("leader_commit_index", .integer(learned)),
                ])),
            .init("applied_index", .integer(status.appliedIndex.rawValue)),
            .init("commit_index", .integer(status.commitIndex.rawValue)),
            .init("followers", .array(status.progress.map(progress))),
            .init("fsm_pending", .integer(status.appliedIndex.distanceBehind(status.commitIndex))),
            .init("installing_snapshot", .bool(status.isInstallingSnapshot)),
            .init("last_contact", lastContact(status)),
            .init("last_log_index", .integer(status.lastPosition.index.rawValue)),
            .init("last_log_term", .integer(status.lastPosition.term.rawValue)),
            .init("last_snapshot_index", .integer(status.checkpointedIndex.rawValue)),
            .init("last_snapshot_term", .integer(status.checkpointedTerm.rawValue)),
            .init("latest_configuration", .string(configuration(status.membership))),
            .init("latest_configuration_index", .integer(status.membershipIndex.rawValue)),
            .init("num_peers", .integer(peers)),
            .init("state", .string(stateName(status))),
            .init("term", .integer(status.term.rawValue)),
            .init("voter", .bool(isVoter)),
        ])
    }

    /// As rqlite's Raft library names its settings; times in nanoseconds.
    private func config(_ own: NodeID) -> JSONValue {
        func nanoseconds(_ duration: Duration) -> JSONValue {
            .integer(duration.nanosecondsClamped)
        }
        let timing = settings.raft.timing
        return .object([
            .init("CommitTimeout", nanoseconds(timing.heartbeatInterval)),
            .init("ElectionTimeout", nanoseconds(timing.electionTimeout)),
            .init("HeartbeatTimeout", nanoseconds(timing.heartbeatTimeout)),
            .init("LeaderLeaseTimeout", nanoseconds(timing.leaderLease)),
            .init("LocalID", .string(own.rawValue)),
            .init("LogLevel", .string(settings.raft.logLevel.rawValue)),
            .init("MaxAppendEntries", .integer(node.options.raft.maxMessageEntries)),
            .init("NoSnapshotRestoreOnStart", false),
            .init("ShutdownOnRemove", .bool(node.options.stopsWhenRemoved)),
            .init("SnapshotInterval", nanoseconds(settings.checkpoint.interval)),
            .init("SnapshotThreshold", .integer(settings.checkpoint.entries)),
        ])
    }

    private func stateName(_ status: NodeStatus) -> String {
        if status.exclusion == .stopped { return "Shutdown" }
        return switch status.role {
        case .leader: "Leader"
        case .follower: "Follower"
        case .candidate, .preCandidate: "Candidate"
        }
    }

    private func lastContact(_ status: NodeStatus) -> JSONValue {
        if status.role == .leader { return 0 }
        return .string(status.sinceLeader?.goText ?? "never")
    }

    private func configuration(_ membership: Membership) -> String {
        let servers = membership.members.map { member in
            let suffrage = member.suffrage == .voter ? "Voter" : "Nonvoter"
            return "{Suffrage:\(suffrage) ID:\(member.id) Address:\(member.address)}"
        }
        return "[" + servers.joined(separator: " ") + "]"
    }

    private func progress(_ progress: PeerProgress) -> JSONValue {
        let silence = node.options.tick * progress.ticksSinceAnswer
        return .object([
            .init("id", .string(progress.id.rawValue)),
            .init("match_index", .integer(progress.matchIndex.rawValue)),
            .init("since_answer", .string(silence.goText)),
            .init("state", .string(progress.state.rawValue)),
        ])
    }
}

extension LogIndex {
    fileprivate func distanceBehind(_ other: LogIndex) -> Int { other.distance(from: self) }
}
