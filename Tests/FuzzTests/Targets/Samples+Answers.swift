import PeerProtocol
import Raft
import Service
import Wire

/// What answers hold, each form of it once.
extension Samples {
    static let readings = [
        ChecksumReading(index: LogIndex(7), trace: Digest(low: 1, high: 2), piece: .none),
        ChecksumReading(index: LogIndex(8), trace: nil, piece: .read(Digest(low: 3, high: 4))),
        ChecksumReading(index: LogIndex(9), trace: nil, piece: .damaged),
    ]

    static let node = NodeDescription(
        id: NodeID("1"), apiURL: "http://h1:4001", address: address(1), version: "1.0",
        isVoter: true, isReachable: false, isLeader: true, elapsed: .microseconds(1234),
        error: "slow")

    static let rowPieces: [ResultPart.Piece] = [
        .statement(StatementResult(.empty)),
        .rowsBegin(columns: ["a"], types: ["text"], isRead: true), .cells([3, 1, 0, 0, 0, 65]),
        .rowsEnd(nanoseconds: 9, error: nil), .end(error: "late", logIndex: 7),
    ]
    static let contentPieces: [ResultPart.Piece] = [.contentBegins(logIndex: 7), .content([1, 2])]

    static let readiness: [Readiness] = [
        .nodeOnly, .noLeader(waitingFor: "votes"), .leaderUnreachable("x"), .storeNotReady("y"),
        .notSynced("z"), .databaseFailed("w"),
    ]

    static let refusals: [Refusal] = [
        .notLeader(leader: NodeID("2")), .busy, .transferInProgress, .changeInProgress,
        .unknownMember, .alreadyMember, .notPromotable, .notCaughtUp, .lastVoter,
        .wouldLoseQuorum(silent: [NodeID("2"), NodeID("3")]), .noTransferTarget, .transferToSelf,
        .entryTooLarge(limit: 12),
    ]

    static let errors: [ServiceError] =
        [
            .notLeader(leaderURL: "http://h"), .notReady("starting"), .leadershipLost,
            .timedOut(waitingFor: "a quorum"), .busy, .staleRead,
            .linearizableTimeout(index: LogIndex(5)), .requestTooLarge(limit: 1 << 20), .diskFull,
            .unsuitable("no"), .otherHistory(wanted: mark),
            .behind(wanted: LogIndex(9), applied: LogIndex(8)), .keyTaken(LogIndex(3)),
            .notAuthorized("execute"), .transfer(.busy),
        ] + refusals.map { .membership($0) }
}
