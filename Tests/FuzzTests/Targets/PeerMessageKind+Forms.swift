import PeerProtocol
import Raft
import Rights
import Service
import Wire

/// Which forms messages have: a new one does not compile here until it has a place, and has no sample then. What is
/// kept of a release is made of the samples, so a form without one is tried by no later version.
extension PeerMessageKind {
    /// Forms of which there is no sample; in words for who added one.
    static func missingForms() throws(WireError) -> [String] {
        let messages = try decoded(.raft) { (r) throws(WireError) in try Message(from: &r) }
        let requests = try decoded(.request) { (r) throws(WireError) in try PeerRequest(from: &r) }
        let answers = try decoded(.answer) { (r) throws(WireError) in try PeerAnswer(from: &r) }
        let asked = try decoded(.clientRequest) { (r) throws(WireError) in
            try ClientRequest(from: &r)
        }
        let replies = try decoded(.reply) { (r) throws(WireError) in try Reply(from: &r) }
        var commands: [LogCommand] = []
        for sample in Self.logCommand.samples {
            commands.append(try LogCommand(decoding: sample))
        }
        var missing = lacks("message", messages.map { form($0.body) }, of: 7)
        missing += lacks("question", requests.map { $0.map { form($0) } ?? -1 }, of: 6)
        missing += lacks("answer", answers.map { form($0) }, of: 8)
        missing += lacks("command", commands.map { form($0) }, of: 10)
        missing += lacks("request", asked.map { form($0.operation) }, of: 20)
        missing += lacks("credential", asked.map { form($0.credential) }, of: 3)
        missing += lacks("outcome", replies.map { form($0.outcome) }, of: 11)
        missing += lacks("piece", replies.flatMap { pieces($0.outcome) }.map { form($0) }, of: 7)
        let failures = replies.compactMap { failure($0.outcome) }
        missing += lacks("error", failures.map { form($0) }, of: 18)
        missing += lacks("refusal", failures.compactMap { refusal($0) }.map { form($0) }, of: 13)
        missing += lacks("sight", replies.map { $0.sight == nil ? 0 : 1 }, of: 2)
        return missing
    }

    private static func decoded<Value>(
        _ kind: PeerMessageKind, _ decode: (inout ByteReader) throws(WireError) -> Value
    ) throws(WireError) -> [Value] {
        var values: [Value] = []
        for sample in kind.samples {
            var reader = ByteReader(sample)
            values.append(try decode(&reader))
        }
        return values
    }

    private static func lacks(_ name: String, _ found: [Int], of count: Int) -> [String] {
        Set(0..<count).subtracting(found).sorted().map { "\(name) \($0)" }
    }

    // MARK: Places

    private static func form(_ body: Message.Body) -> Int {
        switch body {
        case .voteRequest: 0
        case .voteAnswer: 1
        case .appendEntries: 2
        case .appendAnswer(let answer): if case .matched = answer.result { 3 } else { 4 }
        case .timeoutNow: 5
        case .termIsBehind: 6
        }
    }

    private static func form(_ request: PeerRequest) -> Int {
        switch request {
        case .hello: 0
        case .join: 1
        case .formation: 2
        case .checksums: 3
        case .seed: 4
        case .disowned: 5
        }
    }

    private static func form(_ answer: PeerAnswer) -> Int {
        switch answer {
        case .hello: 0
        case .joined: 1
        case .joinRefused: 2
        case .formation: 3
        case .unsupported: 4
        case .failed: 5
        case .checksums: 6
        case .seeding: 7
        }
    }

    private static func form(_ command: LogCommand) -> Int {
        switch command {
        case .command(let command): command.key == nil ? 0 : 1
        case .settings: 2
        case .limits: 3
        case .skip: 4
        case .checksum: 5
        case .load(let image): image.needsEmpty ? 7 : 6
        case .loadPart: 8
        case .loadEnd: 9
        }
    }

    private static func form(_ operation: ClientRequest.Operation) -> Int {
        switch operation {
        case .command(_, let options): options.demand == nil ? 0 : 1
        case .backup: 2
        case .load: 3
        case .loadPart: 4
        case .loadEnd: 5
        case .loadDump: 6
        case .boot: 7
        case .remove: 8
        case .transferLeadership: 9
        case .nodes: 10
        case .leader: 11
        case .readiness: 12
        case .limits(let change): change == nil ? 13 : 14
        case .applyDecision(.tryAgain): 15
        case .applyDecision(.skip): 16
        case .reseed: 17
        case .drop: 18
        case .checkpoint: 19
        }
    }

    private static func form(_ credential: Credential) -> Int {
        switch credential {
        case .none: 0
        case .password: 1
        case .token: 2
        }
    }

    private static func form(_ outcome: Outcome) -> Int {
        switch outcome {
        case .results: 0
        case .repeated: 1
        case .doneBefore: 2
        case .part: 3
        case .done: 4
        case .unchanged: 5
        case .nodes: 6
        case .leader: 7
        case .readiness: 8
        case .limits: 9
        case .failed: 10
        }
    }

    private static func pieces(_ outcome: Outcome) -> [ResultPart.Piece] {
        if case .part(let part) = outcome { part.pieces } else { [] }
    }

    private static func form(_ piece: ResultPart.Piece) -> Int {
        switch piece {
        case .statement: 0
        case .rowsBegin: 1
        case .cells: 2
        case .rowsEnd: 3
        case .end: 4
        // They travel as one.
        case .contentBegins, .copyBegins: 5
        case .content: 6
        }
    }

    private static func failure(_ outcome: Outcome) -> ServiceError? {
        if case .failed(let error) = outcome { error } else { nil }
    }

    private static func refusal(_ error: ServiceError) -> Refusal? {
        switch error {
        case .transfer(let refusal), .membership(let refusal): refusal
        default: nil
        }
    }

    private static func form(_ error: ServiceError) -> Int {
        switch error {
        case .notLeader: 0
        case .noLeader: 1
        case .notReady: 2
        case .leadershipLost: 3
        case .timedOut: 4
        case .busy: 5
        case .staleRead: 6
        case .linearizableTimeout: 7
        case .forwardingFailed: 8
        case .requestTooLarge: 9
        case .transfer: 10
        case .membership: 11
        case .diskFull: 12
        case .unsuitable: 13
        case .otherHistory: 14
        case .behind: 15
        case .keyTaken: 16
        case .notAuthorized: 17
        }
    }

    private static func form(_ refusal: Refusal) -> Int {
        switch refusal {
        case .notLeader: 0
        case .busy: 1
        case .transferInProgress: 2
        case .changeInProgress: 3
        case .unknownMember: 4
        case .alreadyMember: 5
        case .notPromotable: 6
        case .notCaughtUp: 7
        case .lastVoter: 8
        case .wouldLoseQuorum: 9
        case .noTransferTarget: 10
        case .transferToSelf: 11
        case .entryTooLarge: 12
        }
    }
}
