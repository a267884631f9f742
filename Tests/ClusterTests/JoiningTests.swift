import Cluster
import Raft
import Testing

/// Joining before forming, following hints, and giving up.
@Suite struct JoiningTests {
    private let cluster = value(1, [1, 2, 3])

    @Test func `Every candidate is asked at once`() {
        var bench = Bench()
        bench.list([3, 1, 2, 2])
        #expect(bench.all().hellos == [address(1), address(2), address(3)])
    }

    @Test func `A cluster that a candidate knows is joined, not founded anew`() {
        var bench = Bench(4)
        bench.list([1, 2, 3, 4])
        bench.machine.helloAnswered(
            facts(node(2), cluster: 1, leader: address(3)), from: address(2))
        bench.meet([1, 3, 4])
        #expect(bench.effects() == [.send(.inquiry, to: address(2))])
        bench.machine.answered(.formed(cluster.cluster, nil), from: address(2))
        #expect(bench.effects() == [.attemptJoin(via: address(3))])
        bench.pass(500)
        #expect(bench.settled().ballots == [])
        bench.machine.joined(cluster.cluster)
        #expect(bench.effects() == [.joined(cluster.cluster)])
    }

    @Test func `A fresh node waits for slow candidates before it proposes, but not long`() {
        var bench = Bench(1)
        bench.list([1, 2, 3, 4])
        bench.meet([1, 2, 3])
        bench.pass(199)
        #expect(bench.settled().ballots == [])
        bench.pass(1)
        #expect(bench.settled().ballots.count == 3)
    }

    @Test func `A founder that missed the agreement starts as a member when it hears of it`() {
        var bench = Bench(2)
        bench.list([1, 2, 3])
        bench.machine.helloAnswered(facts(node(1), cluster: 1), from: address(1))
        #expect(bench.settled() == [.send(.inquiry, to: address(1))])
        bench.machine.answered(.formed(cluster.cluster, cluster), from: address(1))
        #expect(bench.settled() == [.start(cluster, campaign: false)])
    }

    @Test func `A wiped disk under a founder's ID joins and does not start`() {
        var bench = Bench(9)
        bench.machine = Formation(
            FormationSettings(
                FormationIntroduction(
                    identity: NodeIdentity(id: NodeID("2"), incarnation: incarnation(9)),
                    address: address(2), suffrage: .voter, expect: 3), limit: .none),
            state: AcceptorState(), freshClusterID: RandomID(high: 0, low: 0), seed: 1)
        bench.list([1, 2, 3])
        bench.machine.helloAnswered(
            facts(node(1), cluster: 1, leader: address(1)), from: address(1))
        bench.machine.answered(.formed(cluster.cluster, cluster), from: address(1))
        #expect(
            bench.settled() == [.send(.inquiry, to: address(1)), .attemptJoin(via: address(1))])
    }

    @Test func `A proposal that meets a member ends and becomes a join`() {
        var bench = Bench(1)
        bench.list([1, 2, 3])
        bench.meet([1, 2, 3])
        _ = bench.settled()
        bench.machine.answered(.formed(cluster.cluster, nil), from: address(2))
        // The hello shows who leads.
        #expect(bench.all().hellos == [address(2)])
        bench.machine.helloAnswered(
            facts(node(2), cluster: 1, leader: address(3)), from: address(2))
        bench.machine.answered(.formed(cluster.cluster, nil), from: address(2))
        #expect(bench.settled().contains(.attemptJoin(via: address(3))))
    }

    @Test func `Whoever learns the value and is not named joins, through the founders too`() {
        var bench = Bench(4)
        bench.list([4, 5])
        _ = bench.all()
        bench.ask(.chosen(cluster))
        #expect(bench.all().hellos == [address(1), address(2), address(3)])
        bench.machine.helloAnswered(
            facts(node(1), cluster: 1, leader: address(1)), from: address(1))
        #expect(bench.settled().contains(.attemptJoin(via: address(1))))
    }

    @Test func `An abandoned bootstrap is never started again`() {
        var state = AcceptorState()
        state.abandon(cluster.cluster)
        var bench = Bench(2, state: state)
        bench.list([1, 2, 3])
        bench.ask(.chosen(cluster))
        bench.machine.helloAnswered(facts(node(1), cluster: 1), from: address(1))
        bench.machine.answered(.formed(cluster.cluster, cluster), from: address(1))
        #expect(bench.settled() == [])
    }

    @Test func `Leader hints are followed, up to a limit`() {
        var bench = Bench(1, expect: 0)
        bench.list([2])
        bench.machine.helloAnswered(facts(node(2), cluster: 1), from: address(2))
        #expect(bench.effects() == [.attemptJoin(via: address(2))])
        for hop in 0..<FormationLimits.joinRedirects {
            bench.machine.joinRefused(
                via: address(2 + hop), reason: "not leader", leader: address(3 + hop))
            #expect(bench.effects() == [.attemptJoin(via: address(3 + hop))])
        }
        bench.machine.joinRefused(
            via: address(2 + FormationLimits.joinRedirects), reason: "not leader",
            leader: address(99))
        #expect(bench.effects() == [])
    }

    @Test func `Candidates with one leader lead to one join`() {
        var bench = Bench(1, expect: 0)
        bench.list([2, 3, 4])
        for k in [2, 3] {
            bench.machine.helloAnswered(
                facts(node(k), cluster: 1, leader: address(4)), from: address(k))
        }
        #expect(bench.effects() == [.attemptJoin(via: address(4))])
    }

    @Test func `Of a working and a leaderless cluster the working one is joined, of two none`() {
        var bench = Bench(1, expect: 0)
        bench.list([2, 3, 4])
        bench.machine.helloAnswered(
            facts(node(2), cluster: 1, leader: address(2)), from: address(2))
        bench.machine.helloAnswered(facts(node(3), cluster: 2), from: address(3))
        #expect(bench.effects() == [.attemptJoin(via: address(2))])
        bench = Bench(1, expect: 0)
        bench.list([2, 3])
        bench.machine.helloAnswered(
            facts(node(2), cluster: 1, leader: address(2)), from: address(2))
        bench.machine.joinRefused(via: address(2), reason: "busy", leader: nil)
        bench.machine.helloAnswered(
            facts(node(3), cluster: 2, leader: address(3)), from: address(3))
        let effects = bench.all()
        #expect(effects.filter { $0 == .attemptJoin(via: address(3)) } == [])
        #expect(effects.texts.last?.hasPrefix("candidates are in two clusters") ?? false)
    }

    @Test func `Join attempts end the node after their number, with an interval between them`() {
        var bench = Bench(1, expect: 0, limit: .attempts(2, interval: .seconds(3)))
        bench.list([2, 3])
        for attempt in 1...2 {
            #expect(bench.all().hellos == [address(2), address(3)])
            bench.machine.unreachable(address(2), reason: "connection refused")
            bench.machine.helloAnswered(facts(node(3)), from: address(3))
            bench.pass(2_999)
            #expect(bench.all().hellos == [])
            if attempt == 1 { bench.pass(1) }
        }
        #expect(bench.machine.isFinished)
    }

    @Test func `Giving up says what was tried`() {
        var bench = Bench(1, expect: 0, limit: .attempts(1, interval: .seconds(3)))
        bench.list([2])
        bench.machine.unreachable(address(2), reason: "connection refused")
        let text = "no cluster joined after 1 attempts: no candidate is in a cluster yet; "
        #expect(
            bench.effects() == [
                .gaveUp(
                    text + "10.0.0.2:4002: connection refused; start a cluster there, or join one "
                        + "that exists")
            ])
    }

    @Test func `The timeout of a bootstrap ends it, and no limit never does`() {
        for (limit, ends) in [(FormationSettings.Limit.time(.seconds(120)), true), (.none, false)] {
            var bench = Bench(1, limit: limit)
            bench.list([1, 2, 3])
            bench.pass(119_999)
            #expect(!bench.machine.isFinished)
            bench.pass(1)
            #expect(bench.machine.isFinished == ends)
        }
    }
}
