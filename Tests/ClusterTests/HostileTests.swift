import Chance
import Cluster
import Raft
import Testing
import Wire

/// What a broken or hostile peer can say while a cluster forms.
@Suite struct HostileTests {
    private let three = list([1, 2, 3])

    private static let reach = FormationLimits.ballotReach

    @Test(arguments: [.max, .max - 1, 1 << 63, reach + 1] as [UInt64])
    func `A ballot out of reach is refused and kept by nobody`(counter: UInt64) {
        var bench = Bench(2)
        let far = ballot(counter, by: 1)
        bench.ask(.prepare(far, three, from: node(1)), id: 7)
        #expect(
            bench.effects() == [
                .messageRefused(.request(FormationRequestID(7)), .ballotTooFar(far, own: 0))
            ])
        bench.machine.answered(.outpaced(ballot(1, by: 2), by: far), from: address(3))
        #expect(
            bench.effects() == [
                .messageRefused(.answer(from: address(3)), .ballotTooFar(far, own: 0))
            ])
        #expect(bench.machine.state == AcceptorState())
        // It takes part in ballots as before.
        bench.ask(.prepare(ballot(1, by: 1), three, from: node(1)))
        #expect(bench.settled().count == 1)
        #expect(bench.machine.state.promised == ballot(1, by: 1))
    }

    @Test func `A node that comes late to a long formation is in reach`() {
        var bench = Bench(2)
        let late = ballot(Self.reach, by: 1)
        bench.ask(.prepare(late, three, from: node(1)))
        _ = bench.settled()
        #expect(bench.machine.state.promised == late)
    }

    @Test func `A stored counter at its end traps nobody`() throws {
        var writer = ByteWriter()
        writer.write(AcceptorState().encoded().first ?? 0)
        writer.write(UInt64.max)
        for _ in 0..<2 { writer.write(false) }
        writer.write(UInt32(0))
        writer.write(false)
        writer.write(UInt32(0))
        writer.write(CRC32C(writer.bytes).value)
        var bench = Bench(1, state: try AcceptorState(decoding: writer.bytes))
        bench.list([1, 2, 3])
        bench.meet([1, 2, 3])
        for _ in 0..<100 { bench.pass(100) }
        #expect(bench.machine.state.counter == .max)
    }

    @Test func `Lists and names in a message are bounded before they are read`() {
        func encoded(_ lists: [CandidateList]) -> [UInt8] {
            FormationMessage.promise(
                .init(ballot: ballot(1, by: 1), acceptor: node(2), accepted: nil, lists: lists)
            ).encoded()
        }
        let most = FormationLimits.recordedLists + 1
        #expect(throws: Never.self) {
            try FormationMessage(decoding: encoded(Array(repeating: three, count: most)))
        }
        #expect(throws: WireError.tooLong(count: most + 1, limit: most)) {
            try FormationMessage(decoding: encoded(Array(repeating: three, count: most + 1)))
        }
        let long = PeerAddress(String(repeating: "h", count: 5000))
        let entry = CandidateList.Entry(address: long, incarnation: nil)
        #expect(throws: WireError.tooLong(count: 5000, limit: 4096)) {
            try FormationMessage(
                decoding: encoded([CandidateList(expect: 1, entries: [entry])]))
        }
    }

    @Test func `Other clusters that peers tell of are remembered and said up to a limit`() {
        var bench = Bench(4)
        bench.list([4, 5])
        var said = 0
        for cluster in 1...1000 as ClosedRange<UInt64> {
            bench.ask(.chosen(value(cluster, [1, 2, 3])), id: cluster)
            said += bench.settled().count { if case .refused = $0 { true } else { false } }
        }
        #expect(said == FormationLimits.lastingContradictions)
        #expect(bench.machine.state.chosen == value(1, [1, 2, 3]))
    }

    /// Messages with random and extreme ballots, from every kind, to a node in every phase.
    @Test func `No message of a formation traps a node or moves its counter out of reach`() {
        for seed in 0..<300 as Range<UInt64> {
            var dice = SplitMix64(seed: seed)
            var bench = Bench(1)
            bench.list([1, 2, 3])
            bench.meet([1, 2, 3])
            _ = bench.settled()
            var ceiling: UInt64 = 0
            for step in 0..<60 {
                let before = bench.machine.state
                let message = hostileMessage(&dice, near: before.counter)
                if dice.chance(50, of: 100) {
                    bench.ask(message, id: UInt64(step))
                } else {
                    bench.machine.answered(message, from: address(1 + dice.below(4)))
                }
                let effects = bench.effects()
                let isRefused = effects.contains {
                    if case .messageRefused = $0 { true } else { false }
                }
                if isRefused { #expect(bench.machine.state == before && bench.writes.isEmpty) }
                ceiling += Self.reach + 1
                #expect(bench.machine.state.counter <= ceiling, "seed \(seed)")
                if dice.chance(50, of: 100) { bench.pass(dice.below(400)) }
                _ = bench.settled()
            }
        }
    }

    private func hostileMessage(_ dice: inout SplitMix64, near counter: UInt64) -> FormationMessage
    {
        let numbers: [UInt64] = [
            .max, .max - 1, 1 << 63, 1 << 32, counter &+ Self.reach, counter &+ Self.reach &+ 1,
            counter, counter &+ 1, 0, dice.next(),
        ]
        func ballot(_ dice: inout SplitMix64) -> Ballot {
            Ballot(
                counter: numbers[dice.below(numbers.count)], proposer: incarnation(dice.below(4)))
        }
        let expects = [0, 1, 3, Int(UInt32.max)]
        let list = CandidateList(
            expect: expects[dice.below(4)],
            entries: (0..<dice.below(4)).map {
                .init(
                    address: address($0),
                    incarnation: dice.chance(50, of: 100) ? incarnation($0) : nil)
            })
        let value = value(dice.next(), [2, 3])
        let sender = node(1 + dice.below(3), expect: expects[dice.below(4)])
        switch dice.below(9) {
        case 0, 1: return .prepare(ballot(&dice), list, from: sender)
        case 2: return .accept(ballot(&dice), list, value, from: sender)
        case 3: return .inquiry
        case 4:
            return .promise(
                .init(
                    ballot: ballot(&dice), acceptor: sender,
                    accepted: .init(ballot: ballot(&dice), value: value, list: list),
                    lists: [list, list]))
        case 5: return .accepted(ballot(&dice), by: incarnation(dice.below(4)))
        case 6, 7: return .outpaced(ballot(&dice), by: ballot(&dice))
        default: return .unformed(holdsAcceptance: true)
        }
    }
}
