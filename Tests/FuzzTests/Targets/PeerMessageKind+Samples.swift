import PeerProtocol
import Raft
import Rights
import Service
import Wire

/// Real messages, one at least of each form: `missingForms` looks. What is new stands behind what was there,
/// for seeds and what is kept of a release are named by their places.
extension PeerMessageKind {
    var samples: [[UInt8]] {
        switch self {
        case .raft: Self.raftSamples
        case .request: Self.requestSamples
        case .answer: Self.answerSamples
        case .clientRequest: Self.clientRequestSamples
        case .reply: Self.replySamples
        case .introduction: [Samples.bytes { Samples.introduction.encode(into: &$0) }]
        case .logCommand: [Samples.command] + Self.commandSamples
        case .offer: [Samples.bytes { Samples.offer.encode(into: &$0) }]
        }
    }

    private static var commandSamples: [[UInt8]] {
        let commands: [LogCommand] = [
            .settings(ClusterSettings(foreignKeys: true)),
            .limits(WriteLimitsChange(steps: 20_000, temporary: .max)),
            .skip(EntrySkip(index: 9, hash: .max, place: StatementPlace(text: 1, offset: 2))),
            .load(DatabaseImage(byteCount: 4096, packed: [1, 2, 3])), .load(Samples.restored),
            .command(Samples.keyed), .loadPart(Samples.loadPart), .loadEnd(Samples.loadEnd),
            .checksum(
                ChecksumMarker(
                    tracing: .restart,
                    piece: ScrubCursor(table: Array("t".utf8), passed: 7, key: [1, 2]))),
        ]
        return commands.map { $0.encoded() }
    }

    private static var raftSamples: [[UInt8]] {
        let last = LogPosition(index: LogIndex(3), term: Term(2))
        let bodies: [Message.Body] = [
            .appendEntries(
                .init(
                    previous: .zero, entries: Samples.entries, commitIndex: LogIndex(2), round: 4)),
            .appendAnswer(.init(result: .matched(through: LogIndex(3)), round: 4)),
            .appendAnswer(
                .init(result: .mismatched(previous: LogIndex(9), hint: last), round: 4)),
            .voteRequest(.init(isPreVote: true, isTransfer: false, lastLog: last)),
            .voteAnswer(.init(isPreVote: true, granted: true)),
            .timeoutNow, .termIsBehind,
        ]
        return bodies.map { body in
            let message = Message(
                cluster: Samples.cluster, from: Samples.identity, to: NodeID("2"), term: Term(2),
                body: body)
            return Samples.bytes { message.encode(into: &$0) }
        }
    }

    private static var requestSamples: [[UInt8]] {
        let requests: [PeerRequest] = [
            .hello,
            .join(
                JoinRequest(
                    identity: Samples.identity, address: Samples.address(1), apiURL: "http://h",
                    suffrage: .voter, cluster: Samples.cluster, intent: .resume)),
            .formation([1, 2, 3]), .checksums, .seed, .disowned(Samples.cluster),
            .join(
                JoinRequest(
                    identity: Samples.identity, address: Samples.address(1), apiURL: nil,
                    suffrage: .nonvoter, cluster: nil, run: RandomID(high: 1, low: 2))),
        ]
        return requests.map { request in Samples.bytes { request.encode(into: &$0) } }
    }

    private static var answerSamples: [[UInt8]] {
        let hello = Hello(
            identity: Samples.identity, cluster: Samples.cluster, address: Samples.address(1),
            apiURL: "http://h:4001", versions: .init(data: 1, program: "1.0", engine: "3.40.1"),
            suffrage: .voter, bootstrapExpect: 3, leader: Samples.leader, term: Term(4),
            commitIndex: LogIndex(99), isReady: true, run: RandomID(high: 1, low: 2),
            callerAddress: Samples.address(2))
        var known = hello
        known.callerAcknowledged = LogPosition(index: LogIndex(98), term: Term(3))
        known.committed = LogPosition(index: LogIndex(99), term: Term(4))
        let answers: [PeerAnswer] = [
            .hello(hello),
            .joined(
                JoinAcceptance(
                    cluster: Samples.cluster, membership: Samples.membership,
                    leader: Samples.leader)),
            .joinRefused(JoinRefusal(code: .idInUse, text: "n1 is at a and b", leader: nil)),
            .formation([]), .unsupported(kind: 77), .failed("stopping"), .seeding,
            .checksums(Samples.readings), .hello(known),
        ]
        return answers.map { answer in Samples.bytes { answer.encode(into: &$0) } }
    }

    private static var clientRequestSamples: [[UInt8]] {
        let command = Command(
            kind: .request, statements: Samples.statements, transaction: true)
        let operations: [ClientRequest.Operation] = [
            .command(command, Samples.options), .remove(NodeID("3")),
            .transferLeadership(to: NodeID("2"), wait: true), .nodes(includeNonvoters: true),
            .leader, .readiness(.init(nodeOnly: false, sync: true)),
            .limits(WriteLimitsChange(steps: 20_000, temporary: .max)),
            .applyDecision(
                .skip(
                    EntrySkip(index: 9, hash: .max, place: StatementPlace(text: 1, offset: 2)),
                    isChecked: true)),
            .reseed, .drop([Samples.address(1), Samples.address(2)]), .checkpoint(keeping: 7),
            .boot(DatabaseImage(byteCount: 8192, packed: [9])), .loadDump(command),
            .load(DatabaseImage(byteCount: 4096, packed: [1, 2, 3])),
            .backup(
                BackupRequest(form: .sql, vacuum: true, compress: true, tables: ["a", "b c"]),
                Samples.options),
            .loadPart(Samples.loadPart, isBoot: false), .loadEnd(Samples.loadEnd, isBoot: true),
            .limits(nil), .applyDecision(.tryAgain), .command(Samples.keyed, Samples.demanding),
        ]
        var requests = operations.map { ClientRequest(id: RequestID(5), operation: $0) }
        let credentials: [Credential] = [.password(user: "a", password: "b"), .token("t")]
        requests += credentials.map {
            ClientRequest(id: RequestID(5), operation: .leader, credential: $0)
        }
        return requests.map { request in
            Samples.bytes { request.encode(into: &$0, id: request.id) }
        }
    }

    private static var replySamples: [[UInt8]] {
        let result = CommandResult([
            StatementResult(.changed(lastInsertID: 1, rowsAffected: 2), nanoseconds: 9),
            StatementResult(
                .rows(
                    RowSet(
                        columns: ["a"], types: ["text"], rowCount: 1, cells: [3, 1, 0, 0, 0, 65])),
                isRead: true), StatementResult(.empty), StatementResult(.failed("no such table")),
        ])
        let outcomes: [Outcome] =
            [
                .results(result), .done, .readiness(.ready(synced: true)), .limits(.initial),
                .failed(.forwardingFailed(to: Samples.address(1), cause: "refused")),
                .failed(.noLeader(waitingFor: "2 of 2")), .unchanged, .repeated(result),
                .doneBefore(LogIndex(7)), .nodes([Samples.node]), .leader(Samples.node),
                .part(ResultPart(Samples.rowPieces)), .part(ResultPart(Samples.contentPieces)),
            ] + Samples.readiness.map { .readiness($0) } + Samples.errors.map { .failed($0) }
        var replies = outcomes.map {
            Reply(id: RequestID(5), outcome: $0, servedBy: Samples.address(1))
        }
        replies.append(
            Reply(
                id: RequestID(5), outcome: .unchanged, sight: ReadSight(Samples.mark, isExact: true)
            ))
        return replies.map { reply in Samples.bytes { reply.encode(into: &$0) } }
    }
}
