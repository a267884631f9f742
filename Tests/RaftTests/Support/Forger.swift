@testable import Raft
import Chance

/// Makes messages as a broken or hostile peer sends them: fields random, extreme, or right beside
/// what the node knows.
struct Forger {
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    private static let extremes: [UInt64] =
        [20, 24, 31, 32, 48, 62, 63].flatMap { (bits: UInt64) -> [UInt64] in
            let power: UInt64 = 1 << bits
            return [power - 1, power, power + 1]
        } + [0, UInt64.max, UInt64.max - 1]
    private static let strides: [UInt64] = [1 << 20, 1 << 24, 1 << 32, 1 << 62, UInt64.max / 2]

    mutating func chance(_ percent: Int) -> Bool { random.within(0...99) < percent }

    private mutating func pick<T>(_ values: [T]) -> T {
        values[random.within(0...values.count - 1)]
    }

    /// A number near one that the node knows, or near the end of a number space.
    private mutating func number(near known: [UInt64]) -> UInt64 {
        switch random.within(0...3) {
        case 0: pick(known) &+ UInt64(random.within(0...3)) &- 1
        case 1:
            pick(Self.extremes)
        case 2: pick(known) &+ pick(Self.strides)
        default: random.next() >> UInt64(random.within(0...63))
        }
    }

    // MARK: Whole messages

    mutating func message(to raft: RaftMachine) -> Message {
        let term = chance(50) ? raft.term.rawValue : number(near: [raft.term.rawValue])
        let from = identity(2 + random.within(0...2), chance(5) ? 1 : 0)
        return Message(
            cluster: testCluster, from: from, to: nodeID(1), term: Term(term),
            body: body(near: raft))
    }

    private mutating func index(_ raft: RaftMachine) -> LogIndex {
        LogIndex(
            number(near: [
                raft.lastPosition.index.rawValue, raft.commitIndex.rawValue,
                raft.log.base.index.rawValue,
            ]))
    }

    private mutating func position(_ raft: RaftMachine) -> LogPosition {
        let index = index(raft)
        if chance(50), let term = raft.term(at: index) {
            return LogPosition(index: index, term: term)
        }
        return LogPosition(index: index, term: Term(number(near: [raft.term.rawValue])))
    }

    private mutating func body(near raft: RaftMachine) -> Message.Body {
        switch random.within(0...6) {
        case 0:
            return .voteRequest(
                .init(isPreVote: chance(50), isTransfer: chance(50), lastLog: position(raft)))
        case 1: return .voteAnswer(.init(isPreVote: chance(50), granted: chance(50)))
        case 2, 3:
            let previous = position(raft)
            return .appendEntries(
                .init(
                    previous: previous, entries: entries(after: previous, raft),
                    commitIndex: index(raft), round: number(near: [0, 1])))
        case 4:
            let result: Message.AppendAnswer.Result =
                chance(50)
                ? .matched(through: index(raft))
                : .mismatched(previous: index(raft), hint: position(raft))
            return .appendAnswer(.init(result: result, round: number(near: [0, 1])))
        case 5: return .timeoutNow
        default: return .termIsBehind
        }
    }

    private mutating func entries(after previous: LogPosition, _ raft: RaftMachine) -> [Entry] {
        (0..<random.within(0...3)).map { offset in
            let isNext = chance(80)
            let index =
                isNext
                ? LogIndex(previous.index.rawValue &+ UInt64(offset) &+ 1) : self.index(raft)
            let term = chance(60) ? raft.term : Term(number(near: [raft.term.rawValue]))
            let payload: Payload =
                switch random.within(0...5) {
                case 0: .membership(Membership())
                case 1: .membership(Membership([member(1), member(1), member(2, .nonvoter)]))
                case 2: .membership(Membership([member(2), member(3)]))
                case 3: .noop
                default: .command([1])
                }
            return Entry(index: index, term: term, payload: payload)
        }
    }

    mutating func mark(near raft: RaftMachine) -> SnapshotMark {
        SnapshotMark(
            position: position(raft),
            membership: chance(80) ? Membership([member(2), member(3)]) : Membership(),
            membershipIndex: chance(50) ? .zero : index(raft))
    }

    // MARK: One field

    /// The message with one number past what any node may name, so that nothing of it counts.
    private static let noIndexes: [UInt64] = [
        .max, .max - 1, 1 << 63, Reach.lastIndex.rawValue + 1,
    ]
    private static let noTerms: [UInt64] = [
        .max, .max - 1, 1 << 63, UInt64(UInt32.max), UInt64(UInt32.max) - 1, 1 << 31,
    ]

    mutating func spoiled(_ message: Message) -> Message {
        var message = message
        let index = LogIndex(pick(Self.noIndexes))
        let term = Term(pick(Self.noTerms))
        let hasOnlyATerm = chance(30)
        switch message.body {
        case .voteRequest(var request) where !hasOnlyATerm:
            if chance(50) { request.lastLog.index = index } else { request.lastLog.term = term }
            message.body = .voteRequest(request)
        case .appendEntries(var append) where !hasOnlyATerm:
            switch random.within(0...3) {
            case 0: append.previous.index = index
            case 1: append.previous.term = term
            case 2: append.commitIndex = index
            default: append.entries.append(Entry(index: index, term: message.term, payload: .noop))
            }
            message.body = .appendEntries(append)
        case .appendAnswer(var answer) where !hasOnlyATerm:
            switch random.within(0...2) {
            case 0: answer.round = .max
            case 1: answer.result = .matched(through: index)
            default:
                answer.result = .mismatched(
                    previous: index, hint: LogPosition(index: .zero, term: .zero))
            }
            message.body = .appendAnswer(answer)
        default: message.term = term
        }
        return message
    }
}
