import Cluster
import Raft
import Testing

/// The acceptor: what is promised, when it is said, and who is refused.
@Suite struct AcceptorTests {
    private let one = ballot(1, by: 1)
    private let three = list([1, 2, 3])

    private func promise(
        _ ballot: Ballot, accepted: AcceptorState.Accepted? = nil, lists: [CandidateList] = []
    ) -> FormationMessage {
        .promise(.init(ballot: ballot, acceptor: node(2), accepted: accepted, lists: lists))
    }

    @Test func `A promise leaves the node only when it is durable`() throws {
        var bench = Bench(2)
        bench.ask(.prepare(one, three, from: node(1)))
        let effects = bench.effects()
        #expect(effects.count == 1)
        #expect(try AcceptorState(decoding: bench.disk).promised == one)
        bench.machine.persisted(PersistTicket(0))
        #expect(bench.effects() == [])
        bench.machine.persisted(PersistTicket(1))
        #expect(bench.effects() == [.answer(promise(one), to: FormationRequestID(1))])
    }

    @Test func `An acceptance leaves the node only when it is durable`() throws {
        var bench = Bench(2)
        bench.ask(.prepare(one, three, from: node(1)))
        _ = bench.settled()
        bench.ask(.accept(one, three, value(1, [1, 2, 3]), from: node(1)), id: 2)
        #expect(bench.effects().count == 1)
        #expect(try AcceptorState(decoding: bench.disk).accepted?.value == value(1, [1, 2, 3]))
        bench.machine.persisted(PersistTicket(2))
        #expect(
            bench.effects() == [
                .answer(.accepted(one, by: incarnation(2)), to: FormationRequestID(2))
            ])
    }

    @Test func `A promise asked again waits for the same write`() {
        var bench = Bench(2)
        bench.ask(.prepare(one, three, from: node(1)), id: 1)
        bench.ask(.prepare(one, three, from: node(1)), id: 2)
        #expect(bench.effects().count == 1)
        bench.machine.persisted(PersistTicket(1))
        #expect(bench.effects().count == 2)
    }

    @Test func `Nothing below a promise is promised or accepted, across a restart too`() throws {
        var bench = Bench(2)
        let two = ballot(2, by: 3)
        bench.ask(.prepare(two, three, from: node(3)))
        _ = bench.settled()
        bench = Bench(2, state: try AcceptorState(decoding: bench.disk))
        bench.ask(.prepare(one, three, from: node(1)), id: 2)
        bench.ask(.accept(one, three, value(1, [1, 2, 3]), from: node(1)), id: 3)
        #expect(
            bench.settled() == [
                .answer(.outpaced(one, by: two), to: FormationRequestID(2)),
                .answer(.outpaced(one, by: two), to: FormationRequestID(3)),
            ])
    }

    @Test func `What was never promised is not accepted`() {
        var bench = Bench(2)
        bench.ask(.accept(one, three, value(1, [1, 2, 3]), from: node(1)))
        #expect(bench.settled() == [])
        #expect(bench.machine.state.accepted == nil)
    }

    /// Two processes with copies of one data directory have the same ballots.
    @Test func `In one ballot one value is accepted`() {
        var bench = Bench(2)
        bench.ask(.prepare(one, three, from: node(1)))
        bench.ask(.accept(one, three, value(1, [1, 2, 3]), from: node(1)))
        _ = bench.settled()
        bench.ask(.accept(one, three, value(2, [1, 2, 3]), from: node(1)), id: 2)
        #expect(bench.settled() == [])
        bench.ask(.accept(one, three, value(1, [1, 2, 3]), from: node(1)), id: 3)
        #expect(
            bench.settled() == [
                .answer(.accepted(one, by: incarnation(2)), to: FormationRequestID(3))
            ])
        #expect(bench.machine.state.accepted?.value == value(1, [1, 2, 3]))
    }

    @Test func `A promise tells the accepted value and every list that may hold another`() {
        var bench = Bench(2)
        bench.ask(.prepare(one, three, from: node(1)))
        bench.ask(.accept(one, three, value(1, [1, 2, 3]), from: node(1)))
        bench.ask(.prepare(ballot(2, by: 3), list([1, 2, 3, 4]), from: node(3)))
        _ = bench.settled()
        bench.ask(.prepare(ballot(3, by: 3), list([2, 3, 4]), from: node(3)), id: 9)
        let accepted = AcceptorState.Accepted(
            ballot: one, value: value(1, [1, 2, 3]), list: three)
        let expected = promise(
            ballot(3, by: 3), accepted: accepted, lists: [three, list([1, 2, 3, 4])])
        #expect(bench.settled() == [.answer(expected, to: FormationRequestID(9))])
    }

    @Test func `Another bootstrap-expect is refused with both values`() {
        var bench = Bench(2, expect: 5)
        bench.ask(.prepare(one, three, from: node(1)))
        let refusal = FormationRefusal.expectDiffers(
            there: 5, here: 3, id: NodeID("2"), address: address(2))
        #expect(
            bench.settled() == [.answer(.refused(one, refusal), to: FormationRequestID(1))])
        #expect(
            "\(refusal)".contains("-bootstrap-expect 5") && "\(refusal)".contains("node has 3"))
        #expect(bench.machine.state.promised == nil)
    }

    @Test func `A node without an expectation promises for any`() {
        var bench = Bench(2, expect: 0, suffrage: .nonvoter)
        bench.ask(.prepare(one, three, from: node(1)))
        _ = bench.settled()
        #expect(bench.machine.state.promised == one)
    }

    @Test func `A second machine with this node's ID is refused with both addresses`() {
        var bench = Bench(2)
        bench.ask(.prepare(one, three, from: node(1, id: "2")))
        let refusal = FormationRefusal.nodeIDTaken(NodeID("2"), address(2), address(1))
        #expect(
            bench.settled() == [.answer(.refused(one, refusal), to: FormationRequestID(1))])
    }

    @Test func `More lists than can be remembered are refused, not forgotten`() {
        var bench = Bench(2)
        let limit = FormationLimits.recordedLists
        for k in 1...limit {
            bench.ask(.prepare(ballot(UInt64(k), by: 1), list([2, 10 + k]), from: node(1)))
        }
        _ = bench.settled()
        #expect(bench.machine.state.lists.count == 0 + limit || limit == 0)
        let next = ballot(UInt64(limit + 1), by: 1)
        bench.ask(.prepare(next, list([2, 3]), from: node(1)), id: 7)
        #expect(
            bench.settled() == [.answer(.refused(next, .tooManyLists), to: FormationRequestID(7))])
        bench.ask(.prepare(next, list([2, 11]), from: node(1)), id: 8)
        _ = bench.settled()
        #expect(bench.machine.state.promised == next)
    }

    @Test func `Whoever knows the chosen value answers every request with it`() {
        var bench = Bench(4)
        let chosen = value(1, [1, 2, 3])
        bench.ask(.chosen(chosen), id: 1)
        bench.ask(.prepare(ballot(8, by: 1), three, from: node(1)), id: 2)
        bench.ask(.inquiry, id: 3)
        let answers = bench.settled().filter { if case .answer = $0 { true } else { false } }
        #expect(
            answers
                == (1...3).map {
                    .answer(.formed(chosen.cluster, chosen), to: FormationRequestID($0))
                })
    }

    @Test func `A member of a formed cluster answers every proposal with formed`() {
        let chosen = value(1, [1, 2, 3])
        let requests: [FormationMessage] = [
            .prepare(one, three, from: node(1)), .inquiry, .chosen(value(2, [4])),
            .accept(one, three, value(2, [4]), from: node(1)),
        ]
        for request in requests {
            #expect(
                FormationMessage.answer(
                    to: request, fromMemberOf: chosen.cluster, value: chosen)
                    == .formed(chosen.cluster, chosen))
        }
        // The value of another cluster is not passed on, and answers are not answered.
        #expect(
            FormationMessage.answer(
                to: .inquiry, fromMemberOf: chosen.cluster, value: value(2, [4]))
                == .formed(chosen.cluster, nil))
        #expect(
            FormationMessage.answer(
                to: .unformed(holdsAcceptance: true), fromMemberOf: chosen.cluster, value: nil)
                == nil)
    }
}
