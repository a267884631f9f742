import PeerProtocol
import Raft
import Service
import Transport
import Wire

/// One value of every kind that travels.
enum Samples {
    static let cluster = ClusterID(RandomID(high: 0xC1, low: 0xC2))
    static let identity = NodeIdentity(
        id: NodeID("n1"), incarnation: Incarnation(RandomID(high: 5, low: 6)))
    static let leader = LeaderHint(
        id: NodeID("n2"), address: PeerAddress("10.0.0.2:4002"), apiURL: "http://10.0.0.2:4001")
    static let member = Member(
        id: NodeID("n1"), incarnation: identity.incarnation,
        address: PeerAddress("[::1]:4002"), suffrage: .learner)
    static let offer = SnapshotOffer(
        cluster: cluster,
        id: SnapshotID(sender: NodeID("n1"), generation: 3, index: LogIndex(17)),
        mark: SnapshotMark(
            position: LogPosition(index: LogIndex(17), term: Term(2)),
            membership: Membership([member]), membershipIndex: LogIndex(1)),
        byteCount: 4096)

    static let hello = Hello(
        identity: identity, cluster: cluster, address: PeerAddress("h:4002"),
        apiURL: "http://h:4001",
        versions: .init(data: 1, program: "1.0", engine: "3.40.1 abc"), suffrage: .voter,
        bootstrapExpect: 3, leader: leader, term: Term(4), commitIndex: LogIndex(99),
        isReady: true)

    static let requests: [PeerRequest] = [
        .hello,
        .join(
            JoinRequest(
                identity: identity, address: PeerAddress("h:4002"), apiURL: nil,
                suffrage: .nonvoter, cluster: cluster)),
        .join(
            JoinRequest(
                identity: identity, address: PeerAddress("h:4002"), apiURL: "http://h:4001",
                suffrage: .voter, cluster: cluster, intent: .resume)),
        .formation([1, 2, 3]),
    ]

    static let answers: [PeerAnswer] = [
        .hello(hello),
        .joined(
            JoinAcceptance(cluster: cluster, membership: Membership([member]), leader: leader)),
        .joinRefused(JoinRefusal(code: .idInUse, text: "n1 is at a and b", leader: nil)),
        .formation([]), .unsupported(kind: 77), .failed("stopping"),
    ]

    static let operations: [ClientRequest.Operation] = [
        .command(
            Command(
                kind: .request,
                statements: [
                    Statement("SELECT ?", positional: [.null, .real(0.5), .text("ü"), .blob([0])])
                ], transaction: true),
            ReadOptions(
                level: .linearizable,
                freshness: Freshness(limit: .milliseconds(1500), strict: true),
                linearizableTimeout: .seconds(3), databaseTimeout: .seconds(1))),
        .command(
            Command(
                kind: .execute, statements: [Statement("x")],
                key: RepeatKey(
                    name: Digest(low: 1, high: 2), content: Digest(low: 3, high: .max))),
            ReadOptions()),
        .remove(NodeID("n3")), .transferLeadership(to: NodeID("n2"), wait: true),
        .transferLeadership(to: nil, wait: false), .nodes(includeNonvoters: true), .leader,
        .readiness(.init(nodeOnly: false, sync: true)), .limits(nil),
        .limits(WriteLimitsChange(steps: 20_000, temporary: .max)), .applyDecision(.tryAgain),
        .applyDecision(
            .skip(
                EntrySkip(index: 9, hash: .max, place: StatementPlace(text: 1, offset: 2)),
                isChecked: true)),
        .reseed, .drop([PeerAddress("a:1"), PeerAddress("b:2")]),
        .checkpoint(keeping: nil), .checkpoint(keeping: 7),
        .boot(DatabaseImage(byteCount: 8192, packed: [9])),
        .loadDump(Command(kind: .execute, statements: [Statement("a; b")])),
        .load(DatabaseImage(byteCount: 4096, packed: [1, 2, 3])),
        .loadPart(
            LoadPart(
                id: LoadID(high: 1, low: .max), number: 7, byteCount: 1 << 40, bytes: [1, 2],
                stamp: Stamp(milliseconds: 3, seed: 4)), isBoot: true),
        .loadEnd(
            LoadEnd(
                id: LoadID(high: 1, low: 2), action: .replace, onlyEmpty: true, parts: 8,
                byteCount: 1 << 40), isBoot: false),
        .backup(BackupRequest(), ReadOptions(level: .none)),
        .backup(
            BackupRequest(form: .sql, vacuum: true, compress: true, tables: ["a", "b c"]),
            ReadOptions(level: .linearizable)),
    ]

    static let node = NodeDescription(
        id: NodeID("n1"), apiURL: "http://h:4001", address: PeerAddress("h:4002"),
        version: "1.0", isVoter: true, isReachable: false, isLeader: true,
        elapsed: .microseconds(1234), error: "slow")

    static let refusals: [Refusal] = [
        .notLeader(leader: NodeID("n2")), .busy, .transferInProgress, .changeInProgress,
        .unknownMember, .notCaughtUp, .lastVoter, .noTransferTarget, .transferToSelf,
        .entryTooLarge(limit: 12), .alreadyMember, .notPromotable,
    ]

    static let errors: [ServiceError] =
        [
            .notLeader(leaderURL: "http://h"), .noLeader(waitingFor: "2 of 2"),
            .notReady("starting"), .leadershipLost,
            .timedOut(waitingFor: "a quorum"), .busy, .staleRead,
            .linearizableTimeout(index: LogIndex(5)),
            .forwardingFailed(to: PeerAddress("h:1"), cause: "refused"),
            .requestTooLarge(limit: 1 << 20), .diskFull, .unsuitable("no"),
            .keyTaken(LogIndex(3)), .behind(wanted: LogIndex(9), applied: LogIndex(8)),
            .otherHistory(wanted: CommitMark(cluster: cluster, epoch: 1, index: LogIndex(2))),
        ] + refusals.map { .transfer($0) } + refusals.map { .membership($0) }

    static let readiness: [Readiness] = [
        .ready(synced: true), .nodeOnly, .noLeader(waitingFor: "votes"), .leaderUnreachable("x"),
        .storeNotReady("y"), .notSynced("z"), .databaseFailed("w"),
    ]

    static let outcomes: [Outcome] =
        [
            .results(
                CommandResult([
                    StatementResult(.changed(lastInsertID: 1, rowsAffected: 2), nanoseconds: 9),
                    StatementResult(
                        .rows(
                            RowSet(
                                columns: ["a"], types: ["text"], rowCount: 1,
                                cells: [3, 1, 0, 0, 0, 65])), isRead: true),
                    StatementResult(.empty), StatementResult(.failed("no such table")),
                ])), .done, .nodes([node]), .leader(node), .limits(.initial),
        ] + readiness.map { .readiness($0) } + errors.map { .failed($0) }
}
