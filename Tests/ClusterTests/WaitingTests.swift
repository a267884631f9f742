import Cluster
import Raft
import Testing

/// What the formation says it waits for, whom it asks again when, and whom it refuses.
@Suite struct WaitingTests {
    private let refusedText = "connection refused"
    private let advice = "; start 1 more, or see why no more are reached"

    @Test func `It names who is seen and why each other is not, once per change`() {
        var bench = Bench()
        bench.list([1, 2, 3])
        bench.meet([1, 2])
        bench.machine.unreachable(address(3), reason: refusedText)
        #expect(
            bench.all().texts == [
                "2 of 3 nodes seen: 1, 2; 10.0.0.3:4002: connection refused" + advice
            ])
        bench.pass(300)
        bench.machine.unreachable(address(3), reason: refusedText)
        bench.meet([1, 2])
        #expect(bench.all().texts == [])
        bench.machine.unreachable(address(3), reason: "no route to host")
        #expect(
            bench.all().texts == [
                "2 of 3 nodes seen: 1, 2; 10.0.0.3:4002: no route to host" + advice
            ])
        #expect(bench.machine.waitingFor.hasSuffix("no route to host" + advice))
    }

    @Test func `Three of six do not form, and it says that four are needed`() {
        var bench = Bench()
        bench.list([1, 2, 3, 4, 5, 6])
        bench.meet([1, 2, 3])
        for k in 4...6 { bench.machine.unreachable(address(k), reason: refusedText) }
        bench.pass(3_000)
        let effects = bench.all()
        #expect(
            effects.texts.last?.hasPrefix(
                "needs 4 of the 6 listed, 3 seen: 1, 2, 3; 10.0.0.4:4002: connection refused")
                ?? false, "\(effects.texts)")
        #expect(effects.sent.isEmpty)
        bench.meet([1, 2, 3, 4])
        #expect(bench.settled().ballots.count == 4)
    }

    @Test func `Members of an agreed cluster that don't answer are named, with what to do`() {
        var bench = Bench(4)
        bench.list([1, 2, 3, 4])
        bench.ask(.chosen(value(9, [1, 2, 3])))
        bench.pass(100)
        bench.meet([2, 3, 4])
        bench.machine.unreachable(address(1), reason: refusedText)
        #expect(!bench.machine.waitingFor.contains("data directories"))
        bench.machine.unreachable(address(2), reason: refusedText)
        let text = bench.machine.waitingFor
        #expect(text.contains("was agreed on by 1, 2, 3; joining it"), "\(text)")
        #expect(text.contains("10.0.0.2:4002: connection refused; start the members"), "\(text)")
    }

    @Test func `Too short a list is named`() {
        var bench = Bench()
        bench.list([1, 2])
        bench.meet([1, 2])
        #expect(
            bench.all().texts == [
                "needs 3 addresses, 2 listed; add the others to the list, or to what DNS or discovery tells"
            ])
    }

    @Test func `Of many addresses that don't answer eight are named, and names without one first`()
    {
        var bench = Bench()
        let many = (4...40).map { CandidateAddress(address($0)) }
        bench.machine.candidatesChanged(
            [CandidateAddress(address(1)), CandidateAddress(address(2))] + many + [
                CandidateAddress(unresolved: PeerAddress("z.test:4002"), .unknown)
            ])
        bench.meet([1, 2])
        for k in 4...40 { bench.machine.unreachable(address(k), reason: refusedText) }
        let text = bench.machine.waitingFor
        #expect(text.contains("seen: 1, 2; z.test:4002: DNS knows no such name"), "\(text)")
        #expect(text.split(separator: refusedText).count == 8, "\(text)")
        #expect(text.contains("; and 30 more that don't answer; "), "\(text)")
    }

    @Test func `One node at two addresses is one node`() {
        var bench = Bench()
        bench.list([1, 2, 3])
        bench.meet([1, 2])
        bench.machine.helloAnswered(facts(node(2)), from: address(3))
        bench.pass(1_000)
        #expect(bench.machine.waitingFor == "2 of 3 nodes seen: 1, 2" + advice)
        #expect(bench.settled().ballots == [])
    }

    /// As machines made from one image.
    @Test func `Nodes with copies of one data directory are named`() {
        var bench = Bench()
        bench.list([1, 2, 3])
        bench.meet([1, 2])
        let copy = FormationIntroduction(
            identity: node(2).identity, address: address(3), suffrage: .voter, expect: 3)
        bench.machine.helloAnswered(facts(copy), from: address(3))
        bench.pass(1_000)
        #expect(
            bench.machine.waitingFor
                == "2 of 3 nodes seen: 1, 2; node 2 at 10.0.0.2:4002 and node 2 at 10.0.0.3:4002 have copies "
                + "of one data directory and count as one: start one of them with an empty one")
    }

    /// Each of them would be the one that is needed.
    @Test func `Copies of one data directory found nothing by themselves`() {
        var bench = Bench(1, expect: 1)
        bench.list([1, 3])
        bench.meet([1], expect: 1)
        let copy = FormationIntroduction(
            identity: node(1).identity, address: address(3), suffrage: .voter, expect: 1)
        bench.machine.helloAnswered(facts(copy), from: address(3))
        bench.pass(1_000)
        #expect(bench.settled().ballots == [])
        let text = bench.machine.waitingFor
        #expect(
            text.hasPrefix("needs 2 of the 2 listed, 1 seen: 1; node 1 at 10.0.0.1:4002"), "\(text)"
        )
        // It has moved, and nobody is any more where it was.
        bench.machine.unreachable(address(1), reason: refusedText)
        bench.list([3])
        bench.machine.helloAnswered(facts(copy), from: address(3))
        bench.pass(100)
        #expect(!bench.settled().ballots.isEmpty)
    }

    @Test func `A node restarted under another ID counts once`() {
        var bench = Bench()
        bench.list([1, 2, 3])
        bench.meet([1, 2])
        bench.machine.unreachable(address(3), reason: refusedText)
        bench.machine.helloAnswered(facts(node(7, id: "x")), from: address(2))
        #expect(
            bench.machine.waitingFor
                == "2 of 3 nodes seen: 1, x; 10.0.0.3:4002: connection refused" + advice)
    }

    @Test func `A candidate that goes silent is forgotten`() {
        var bench = Bench()
        bench.list([1, 2, 3])
        bench.meet([1, 2])
        bench.pass(3_000)
        bench.meet([1])
        bench.pass(1_000)
        #expect(bench.machine.waitingFor.hasPrefix("1 of 3 nodes seen: 1; "))
        bench.meet([3])
        #expect(bench.settled().ballots == [])
    }

    @Test func `An absent candidate is asked again soon at first, then about every second`() {
        var bench = Bench()
        bench.list([1, 2])
        _ = bench.all()
        bench.machine.unreachable(address(2), reason: refusedText)
        bench.pass(99)
        #expect(bench.all().hellos == [])
        bench.pass(101)
        #expect(bench.all().hellos == [address(2)])
        bench.pass(5_000)
        _ = bench.all()
        bench.machine.unreachable(address(2), reason: refusedText)
        bench.pass(799)
        #expect(!bench.all().hellos.contains(address(2)))
        bench.pass(401)
        #expect(bench.all().hellos.contains(address(2)))
    }

    @Test func `The hello of a newcomer makes this node ask the absent at once`() {
        var bench = Bench()
        bench.list([1, 2, 3])
        bench.meet([1])
        for k in [2, 3] { bench.machine.unreachable(address(k), reason: refusedText) }
        bench.pass(30)
        #expect(bench.all().hellos == [address(1), address(2), address(3)])
        for k in [2, 3] { bench.machine.unreachable(address(k), reason: refusedText) }
        bench.pass(30)
        bench.machine.heard(from: node(3).identity)
        #expect(bench.all().hellos == [address(2), address(3)])
    }

    @Test func `Another bootstrap-expect does not count, is named, and ends the node in time`() {
        var bench = Bench()
        bench.list([1, 2, 3])
        bench.meet([1, 2])
        bench.meet([3], expect: 5)
        let refusal = FormationRefusal.expectDiffers(
            there: 5, here: 3, id: NodeID("3"), address: address(3))
        let effects = bench.all()
        #expect(effects.contains(.refused(refusal)))
        #expect(effects.texts.last == "2 of 3 nodes seen: 1, 2; \(refusal)")
        for _ in 0..<4 {
            bench.pass(1_000)
            bench.meet([1, 2])
            bench.meet([3], expect: 5)
        }
        #expect(bench.effects() == [])
        bench.pass(1_000)
        #expect(bench.effects() == [.fatal(refusal)])
    }

    @Test func `One node with another bootstrap-expect does not keep the others from forming`() {
        var bench = Bench()
        bench.list([1, 2, 3, 4])
        bench.meet([4], expect: 5)
        bench.meet([1, 2, 3])
        #expect(bench.settled().ballots.count == 3)
    }

    @Test func `Two machines with this node's ID are refused with both addresses`() {
        var bench = Bench()
        bench.list([1, 2, 3])
        bench.meet([1, 2])
        bench.machine.helloAnswered(facts(node(3, id: "1")), from: address(3))
        let refusal = FormationRefusal.nodeIDTaken(NodeID("1"), address(1), address(3))
        #expect(bench.effects().contains(.refused(refusal)))
        #expect("\(refusal)".contains("10.0.0.1:4002") && "\(refusal)".contains("10.0.0.3:4002"))
        bench.pass(6_000)
        #expect(
            bench.effects() == [], "it went silent, so it may have been a wiped node that moved")
    }

    @Test func `Two other machines with one ID count as neither`() {
        var bench = Bench()
        bench.list([1, 2, 3, 4])
        bench.meet([1, 2, 3])
        bench.machine.helloAnswered(facts(node(4, id: "3")), from: address(4))
        bench.pass(1_000)
        #expect(bench.settled().ballots == [])
        #expect(bench.machine.waitingFor.contains("3 seen") == false)
    }
}
