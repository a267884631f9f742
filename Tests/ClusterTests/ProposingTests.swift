import Cluster
import Raft
import Testing

/// The proposer: when it begins, what it proposes, and who learns of it.
@Suite struct ProposingTests {
    private let first = ballot(1, by: 1)

    /// Node 1 after its prepares have gone out.
    private func preparing(_ nodes: [Int] = [1, 2, 3], expect: Int = 3) -> Bench {
        var bench = Bench(1, expect: expect)
        bench.list(nodes)
        bench.meet(nodes, expect: expect)
        let effects = bench.settled()
        #expect(effects.ballots == nodes.map { _ in first })
        return bench
    }

    @Test func `The moment the last of N voters answers a ballot begins`() throws {
        var bench = Bench(1)
        bench.list([1, 2, 3])
        bench.meet([1, 2])
        #expect(bench.effects() == [])
        bench.meet([3])
        #expect(bench.effects().count == 1)
        let stored = try AcceptorState(decoding: bench.disk)
        #expect(stored.counter == 1 && stored.promised == first)
        bench.machine.persisted(PersistTicket(1))
        let prepare = FormationMessage.prepare(first, list([1, 2, 3]), from: node(1))
        #expect(bench.effects() == (1...3).map { .send(prepare, to: address($0)) })
    }

    @Test func `A counter is never used twice, whatever is lost in a crash`() throws {
        let bench = preparing()
        var restarted = Bench(1, state: try AcceptorState(decoding: bench.disk))
        restarted.list([1, 2, 3])
        restarted.meet([1, 2, 3])
        #expect(restarted.settled().ballots.first == ballot(2, by: 1))
    }

    @Test func `Voters take turns by ID`() {
        var bench = Bench(3)
        bench.list([1, 2, 3])
        bench.meet([1, 2, 3])
        bench.pass(59)
        #expect(bench.settled().ballots == [])
        #expect(bench.machine.nextDeadline == .milliseconds(60))
        bench.pass(1)
        #expect(bench.settled().ballots.count == 3)
    }

    @Test func `A node that has just promised to another does not compete with it`() {
        var bench = Bench(3)
        bench.list([1, 2, 3])
        bench.meet([1, 2, 3])
        bench.ask(.prepare(first, list([1, 2, 3]), from: node(1)))
        bench.pass(190)
        #expect(bench.settled().ballots == [])
        bench.pass(200)
        #expect(bench.settled().ballots.first == ballot(2, by: 3))
    }

    @Test
    func `A fresh value has the voters that promised in this ballot, and is chosen by a quorum`() {
        var bench = preparing([1, 2, 3, 4])
        bench.promise(1, first)
        bench.promise(3, first)
        #expect(bench.settled() == [])
        bench.promise(4, first)
        let fresh = bench.settled()
        #expect(fresh.values.count == 3)
        #expect(fresh.values.first?.members.map(\.id.rawValue) == ["1", "3", "4"])
        bench.machine.answered(.accepted(first, by: incarnation(1)), from: address(1))
        // Node 2 has not promised in this ballot.
        bench.machine.answered(.accepted(first, by: incarnation(2)), from: address(2))
        bench.machine.answered(.accepted(first, by: incarnation(3)), from: address(3))
        bench.machine.answered(.accepted(first, by: incarnation(3)), from: address(3))
        #expect(bench.settled() == [])
        bench.machine.answered(.accepted(first, by: incarnation(4)), from: address(4))
        let chosen = bench.settled()
        #expect(chosen.sent.count == 3)
        #expect(fresh.values.first.map { chosen.last == .start($0, campaign: true) } ?? false)
    }

    @Test func `The member starts only when the chosen value is durable`() {
        var bench = Bench(2)
        bench.ask(.chosen(value(1, [1, 2, 3])))
        #expect(bench.effects().count == 1)
        bench.machine.persisted(PersistTicket(1))
        #expect(bench.effects().contains(.start(value(1, [1, 2, 3]), campaign: false)))
        #expect(bench.machine.isFinished)
    }

    @Test func `A crash between learning and starting is made up for at the next start`() throws {
        var bench = Bench(2)
        bench.ask(.chosen(value(1, [1, 2, 3])))
        _ = bench.effects()
        var restarted = Bench(2, state: try AcceptorState(decoding: bench.disk))
        #expect(restarted.settled() == [.start(value(1, [1, 2, 3]), campaign: false)])
    }

    @Test func `The value accepted in the highest ballot is adopted`() {
        var bench = preparing()
        let old = AcceptorState.Accepted(
            ballot: ballot(0, by: 2), value: value(1, [1, 2, 3]), list: list([1, 2, 3]))
        let newer = AcceptorState.Accepted(
            ballot: ballot(0, by: 3), value: value(2, [1, 2, 3]), list: list([1, 2, 3]))
        bench.promise(1, first)
        bench.promise(2, first, accepted: newer)
        bench.promise(3, first, accepted: old)
        #expect(Set(bench.settled().values) == [value(2, [1, 2, 3])])
    }

    @Test func `Promises count only from the node known at the address, and only in this ballot`() {
        var bench = preparing()
        bench.promise(1, first)
        bench.promise(2, ballot(1, by: 2))
        bench.machine.answered(
            .promise(.init(ballot: first, acceptor: node(9), accepted: nil, lists: [])),
            from: address(2))
        bench.machine.answered(
            .promise(.init(ballot: first, acceptor: node(1), accepted: nil, lists: [])),
            from: address(2))
        bench.promise(3, first)
        #expect(bench.settled() == [])
        bench.promise(2, first)
        #expect(bench.settled().values.count == 3)
    }

    @Test func `A quorum must be one of every list recorded in it`() {
        var bench = preparing()
        bench.promise(1, first)
        bench.promise(2, first, lists: [list([1, 2, 8, 9, 10])])
        bench.promise(3, first)
        #expect(bench.settled() == [])
        bench.pass(1_001)
        let texts = bench.all().texts
        #expect(
            texts.last?.hasSuffix(
                "candidate lists differ (only here: \(address(3)); only there: \(address(10)), "
                    + "\(address(8)), \(address(9))): waiting until they agree") ?? false,
            "\(texts)")
    }

    @Test func `A non-voter is an acceptor but no member`() {
        var bench = Bench(1)
        bench.list([1, 2, 3, 4])
        bench.meet([1, 2, 3])
        bench.machine.helloAnswered(facts(node(4, suffrage: .nonvoter)), from: address(4))
        _ = bench.settled()
        bench.promise(4, first, suffrage: .nonvoter)
        bench.promise(1, first)
        bench.promise(2, first)
        #expect(bench.settled() == [])
        bench.promise(3, first)
        #expect(bench.settled().values.first?.members.map(\.id.rawValue) == ["1", "2", "3"])
    }

    @Test func `A non-voter never proposes`() {
        var bench = Bench(4, suffrage: .nonvoter)
        bench.list([1, 2, 3])
        bench.meet([1, 2, 3])
        bench.pass(1_000)
        #expect(bench.settled().ballots == [])
    }

    @Test func `One expected node waits for every listed address`() {
        var bench = Bench(1, expect: 1)
        bench.list([1, 2])
        bench.meet([1], expect: 1)
        bench.machine.unreachable(address(2), reason: "connection refused")
        bench.pass(300)
        #expect(bench.settled().ballots == [])
        bench.meet([2], expect: 1)
        #expect(bench.settled().ballots.count == 2)
    }

    @Test func `An outpaced proposer comes back with a higher ballot`() {
        var bench = preparing()
        bench.machine.answered(.outpaced(first, by: ballot(7, by: 3)), from: address(3))
        #expect(bench.settled().ballots == [])
        bench.pass(151)
        #expect(bench.settled().ballots.first == ballot(8, by: 1))
    }

    @Test func `Lost messages of a ballot are sent again to those who have not answered`() {
        var bench = preparing()
        bench.promise(2, first)
        _ = bench.settled()
        bench.pass(150)
        let again = FormationMessage.prepare(first, list([1, 2, 3]), from: node(1))
        #expect(
            bench.settled() == [.send(again, to: address(1)), .send(again, to: address(3))])
    }

    @Test func `A value on its way is brought to an end although voters are missing`() {
        var state = AcceptorState()
        var bench = Bench(1)
        bench.ask(.prepare(ballot(1, by: 2), list([1, 2, 3, 4, 5]), from: node(2)))
        bench.ask(
            .accept(ballot(1, by: 2), list([1, 2, 3, 4, 5]), value(4, [1, 2, 3]), from: node(2)))
        _ = bench.settled()
        state = bench.machine.state
        bench = Bench(1, state: state)
        bench.list([1, 2, 3, 4, 5])
        bench.meet([1, 2])
        bench.machine.helloAnswered(facts(node(4, suffrage: .nonvoter)), from: address(4))
        for k in [3, 5] { bench.machine.unreachable(address(k), reason: "connection refused") }
        #expect(bench.settled().ballots.first == ballot(2, by: 1))
    }
}
