import Cluster
import Raft
import Testing

/// What an operator's drop of listed addresses changes, and what it never does.
@Suite struct DroppingTests {
    /// Nodes 1 to 3 of six, of which the others were never seen.
    private func halfOfSix(_ k: Int = 1, command: String = "") -> Bench {
        var bench = Bench(k, dropCommand: command)
        bench.list([1, 2, 3, 4, 5, 6])
        bench.meet([1, 2, 3])
        for k in 4...6 { bench.machine.unreachable(address(k), reason: "connection refused") }
        bench.pass(1_000)
        bench.meet([1, 2, 3])
        return bench
    }

    private let others = [address(4), address(5), address(6)]

    @Test func `The waiting line has the command whole, and what it drops is enough`() throws {
        var bench = halfOfSix(command: "curl 'http://a/cluster/drop' -d ")
        let text = bench.machine.waitingFor
        #expect(
            text.hasSuffix(
                "with the command it says: curl 'http://a/cluster/drop' -d "
                    + #"'["10.0.0.4:4002","10.0.0.5:4002","10.0.0.6:4002"]'"#), "\(text)")
        #expect(bench.machine.droppable == others)
        _ = bench.settled()
        try bench.machine.drop(others)
        #expect(bench.settled().ballots.count == 3)
    }

    @Test func `A half without the list's first address founds nothing, whatever it drops`() throws
    {
        var bench = Bench(4)
        bench.list([1, 2, 3, 4, 5, 6])
        bench.meet([4, 5, 6])
        for k in 1...3 { bench.machine.unreachable(address(k), reason: "connection refused") }
        bench.pass(1_000)
        bench.meet([4, 5, 6])
        #expect(bench.machine.droppable.isEmpty)
        #expect(bench.machine.waitingFor.contains("no majority of the list"))
        try bench.machine.drop([address(1), address(2), address(3)])
        bench.pass(2_000)
        bench.meet([4, 5, 6])
        #expect(bench.settled().ballots == [])
    }

    @Test func `Two groups that drop each other are never both enough`() {
        for count in 1...9 {
            let everybody = list(Array(1...count), expect: 1)
            for expect in 1...count {
                let list = CandidateList(expect: expect, entries: everybody.entries)
                for set in 0..<(1 << count) {
                    let one = (1...count).filter { set >> ($0 - 1) & 1 == 1 }
                    let other = (1...count).filter { !one.contains($0) }
                    #expect(
                        !(isEnough(one, of: list, dropping: other)
                            && isEnough(other, of: list, dropping: one)))
                    #expect(
                        !(isEnough(one, of: list, dropping: other)
                            && isEnough(other, of: list, dropping: [])))
                }
            }
        }
    }

    private func isEnough(_ nodes: [Int], of list: CandidateList, dropping: [Int]) -> Bool {
        var attendance = Attendance()
        for k in nodes { attendance.seat(incarnation(k), at: address(k)) }
        return list.tally(attendance, dropping: dropping.map(address)).isQuorum
    }

    @Test func `A node that was not told promises nothing to a ballot that counts on a drop`()
        throws
    {
        var bench = halfOfSix(2)
        let wanted = CandidateList(
            expect: 3, entries: list([1, 2, 3, 4, 5, 6]).entries, dropped: others)
        bench.ask(.prepare(ballot(1, by: 1), wanted, from: node(1)))
        let refusal = FormationRefusal.notDropped(at: NodeID("2"), address(2))
        #expect(
            bench.settled().contains(.answer(.refused(ballot(1, by: 1), refusal), to: .init(1))))
        #expect(!bench.machine.state.isEngaged)
        try bench.machine.drop([address(4)])
        bench.ask(.prepare(ballot(2, by: 1), wanted, from: node(1)), id: 2)
        #expect(!bench.machine.state.isEngaged)
        try bench.machine.drop([address(5), address(6)])
        bench.ask(.prepare(ballot(300, by: 1), wanted, from: node(1)), id: 3)
        #expect(bench.machine.state.isEngaged)
        #expect(bench.machine.state.lists.filter { !$0.dropped.isEmpty } == [])
    }

    @Test func `Who was not told is named by who was`() throws {
        var bench = halfOfSix()
        try bench.machine.drop(others)
        let ballot = try #require(bench.settled().ballots.first)
        let refusal = FormationRefusal.notDropped(at: NodeID("2"), address(2))
        bench.machine.answered(.refused(ballot, refusal), from: address(2))
        #expect(bench.machine.waitingFor.contains("node 2 at 10.0.0.2:4002 was not told"))
        bench.promise(2, ballot)
        #expect(!bench.machine.waitingFor.contains("not told"))
        #expect(!bench.settled().contains { if case .fatal = $0 { true } else { false } })
    }

    @Test func `What answers can't be dropped, and what answers later counts as ever`() throws {
        var bench = halfOfSix()
        #expect(throws: Formation.DropRefusal.answers(address(2), NodeID("2"))) {
            try bench.machine.drop([address(4), address(2)])
        }
        #expect(bench.machine.state.dropped.isEmpty)
        #expect(throws: Formation.DropRefusal.unlisted(address(9))) {
            try bench.machine.drop([address(9)])
        }
        bench.list([1, 2, 3, 4, 5, 6, 7])
        try bench.machine.drop([address(6), address(7)])
        bench.pass(500)
        bench.meet([1, 2, 3])
        #expect(bench.settled().ballots == [], "three of seven are no majority")
        bench.meet([6])
        let effects = bench.settled()
        #expect(effects.ballots.count == 4)
        for case .send(.prepare(_, let list, _), _) in effects {
            #expect(list.dropped == [address(7)])
        }
    }

    @Test func `A drop outlives a restart, and is forgotten when the cluster is agreed on`() throws
    {
        var bench = halfOfSix()
        try bench.machine.drop(others)
        _ = bench.settled()
        let state = try AcceptorState(decoding: bench.disk)
        #expect(state.dropped == others)
        var again = Bench(state: state)
        again.list([1, 2, 3, 4, 5, 6])
        again.meet([1, 2, 3])
        again.pass(300)
        #expect(again.settled().ballots.count == 3)
        again.ask(.chosen(value(9, [1, 2, 3])))
        _ = again.settled()
        #expect(try AcceptorState(decoding: again.disk).dropped.isEmpty)
        #expect(throws: Formation.DropRefusal.self) { try again.machine.drop([address(4)]) }
    }

    @Test func `A promise for a longer list keeps nobody waiting whose list was shortened`() throws
    {
        var two = Bench(1, expect: 2)
        two.ask(
            .prepare(ballot(1, by: 4), list([1, 2, 3, 4, 5], expect: 2), from: node(4, expect: 2)))
        two.list([1, 2, 3])
        two.meet([1, 2, 3], expect: 2)
        two.pass(1_000)
        two.meet([1, 2, 3], expect: 2)
        #expect(two.settled().ballots == [])
        #expect(two.machine.droppable == [address(4), address(5)], "\(two.machine.waitingFor)")
        #expect(two.machine.waitingFor.contains(#"'["10.0.0.4:4002","10.0.0.5:4002"]'"#))
        try two.machine.drop(two.machine.droppable)
        #expect(two.settled().ballots.count == 3)
    }

    @Test func `Who only joins, and who has more nodes in sight than are needed, drops nothing`() {
        var joiner = Bench(4, expect: 0)
        joiner.list([1, 2, 3])
        #expect(throws: Formation.DropRefusal.nothingToAgreeOn) {
            try joiner.machine.drop([address(1)])
        }
        var bench = Bench()
        bench.list([1, 2, 3])
        bench.meet([1, 2])
        #expect(bench.machine.droppable.isEmpty, "two of three voters are no quorum of anything")
    }
}
