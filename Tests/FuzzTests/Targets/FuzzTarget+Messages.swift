import PeerProtocol
import Raft
import Service
import Wire

/// What nodes tell each other in frames. The first byte of an input says which.
extension FuzzTarget {
    static let messages = FuzzTarget(name: "messages", largestInput: 4096) {
        bytes throws(Complaint) in
        guard let first = bytes.first else { return }
        try PeerMessageKind.allCases[Int(first) % PeerMessageKind.allCases.count]
            .check(Array(bytes.dropFirst()))
    } seeds: {
        PeerMessageKind.allCases.flatMap { kind in
            kind.samples.enumerated().map {
                FuzzSeed("\(kind)-\($0)", [kind.rawValue] + $1)
            }
        }
    }
}

/// What is read of a frame, as it stands in its payload.
enum PeerMessageKind: UInt8, CaseIterable {
    case raft, request, answer, clientRequest, reply, introduction, logCommand, offer

    func check(_ bytes: [UInt8]) throws(Complaint) {
        switch self {
        case .raft:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try Message(from: &r)
            } encode: {
                $0.encode(into: &$1)
            }
        case .request:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try PeerRequest(from: &r)
            } encode: { request, writer in
                // One of a kind that is not known.
                if let request { request.encode(into: &writer) } else { writer.write(UInt8(0)) }
            }
        case .answer:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try PeerAnswer(from: &r)
            } encode: {
                $0.encode(into: &$1)
            }
        case .clientRequest:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try ClientRequest(from: &r)
            } encode: {
                $0.encode(into: &$1, id: $0.id)
            }
        case .reply:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try Reply(from: &r)
            } encode: {
                $0.encode(into: &$1)
            }
        case .introduction:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try Introduction(from: &r)
            } encode: {
                $0.encode(into: &$1)
            }
        case .logCommand:
            try RoundTrip.check(whole: bytes) { (b) throws(WireError) in
                try LogCommand(decoding: b)
            } encode: {
                $0.encoded()
            }
        case .offer:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try SnapshotOffer(from: &r)
            } encode: {
                $0.encode(into: &$1)
            }
        }
    }

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
            .load(DatabaseImage(byteCount: 4096, packed: [1, 2, 3])),
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
        let answers: [PeerAnswer] = [
            .hello(hello),
            .joined(
                JoinAcceptance(
                    cluster: Samples.cluster, membership: Samples.membership,
                    leader: Samples.leader)),
            .joinRefused(JoinRefusal(code: .idInUse, text: "n1 is at a and b", leader: nil)),
            .formation([]), .unsupported(kind: 77), .failed("stopping"), .seeding,
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
        ]
        return operations.map { operation in
            let request = ClientRequest(id: RequestID(5), operation: operation)
            return Samples.bytes { request.encode(into: &$0, id: request.id) }
        }
    }

    private static var replySamples: [[UInt8]] {
        let outcomes: [Outcome] = [
            .results(
                CommandResult([
                    StatementResult(.changed(lastInsertID: 1, rowsAffected: 2), nanoseconds: 9),
                    StatementResult(
                        .rows(
                            RowSet(
                                columns: ["a"], types: ["text"], rowCount: 1,
                                cells: [3, 1, 0, 0, 0, 65])), isRead: true),
                    StatementResult(.empty), StatementResult(.failed("no such table")),
                ])), .done, .readiness(.ready(synced: true)), .limits(.initial),
            .failed(.forwardingFailed(to: Samples.address(1), cause: "refused")),
            .failed(.noLeader(waitingFor: "2 of 2")), .unchanged,
        ]
        return outcomes.map { outcome in
            let reply = Reply(id: RequestID(5), outcome: outcome, servedBy: Samples.address(1))
            return Samples.bytes { reply.encode(into: &$0) }
        }
    }
}
