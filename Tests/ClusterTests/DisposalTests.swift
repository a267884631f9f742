import Cluster
import Raft
import Testing

/// A bootstrap that never had a leader, beside a cluster that works.
@Suite struct DisposalTests {
    private let own = value(1, [1]).cluster
    private let untouched = BootstrapDisposal.LocalLog(
        cluster: value(1, [1]).cluster, term: .zero, hasVoted: false, isEmpty: true)

    private func leader(_ k: Int, of cluster: UInt64) -> CandidateFacts {
        facts(node(k), cluster: cluster, leader: address(k))
    }

    /// What is decided when the same is heard for six seconds, twice a second.
    private func decision(
        _ log: BootstrapDisposal.LocalLog, _ said: CandidateFacts...
    ) -> BootstrapDisposal.Decision {
        var disposal = BootstrapDisposal()
        var last = BootstrapDisposal.Decision.keep
        for step in 0..<12 {
            for facts in said {
                last = disposal.heard(facts, log: log, now: .milliseconds(500 * step))
            }
            if case .abandon = last { return last }
        }
        return last
    }

    @Test func `It is dropped for a cluster whose leader is seen at work for a while`() {
        #expect(decision(untouched, leader(5, of: 2)) == .abandon(own))
        var disposal = BootstrapDisposal()
        for second in 0...4 {
            #expect(
                disposal.heard(leader(5, of: 2), log: untouched, now: .seconds(second)) == .keep)
        }
        // It lost its quorum meanwhile: from the beginning.
        _ = disposal.heard(facts(node(5), cluster: 2), log: untouched, now: .milliseconds(4500))
        for second in 5...9 {
            #expect(
                disposal.heard(leader(5, of: 2), log: untouched, now: .seconds(second)) == .keep)
        }
    }

    @Test func `A follower's word sends to its leader, and decides nothing`() {
        let follower = facts(node(6), cluster: 2, leader: address(5))
        #expect(decision(untouched, follower) == .ask(address(5)))
        #expect(decision(untouched, facts(node(6), cluster: 2)) == .keep)
    }

    @Test func `It is kept where this node may have helped to elect or to commit`() {
        var logs = [untouched, untouched, untouched]
        logs[0].term = Term(1)
        logs[1].hasVoted = true
        logs[2].isEmpty = false
        for log in logs { #expect(decision(log, leader(5, of: 2)) == .keep) }
    }

    @Test func `It is kept where only its own cluster is met, or two others work`() {
        #expect(decision(untouched, leader(2, of: 1)) == .keep)
        #expect(decision(untouched, leader(5, of: 2), leader(6, of: 3)) != .abandon(own))
    }

    @Test func `What was dropped is dropped for good, and never started again`() {
        var bench = Bench(1)
        bench.ask(.chosen(value(1, [1, 2, 3])))
        var state = bench.machine.state
        #expect(state.isEngaged)
        state.abandon(own)
        var next = Bench(1, state: state)
        next.ask(.chosen(value(1, [1, 2, 3])), id: 2)
        #expect(next.machine.state.chosen == nil)
        #expect(next.settled().allSatisfy { if case .start = $0 { false } else { true } })
    }

    /// Of node 1, which accepted a bootstrap of nodes 1 to 3 and left it.
    private func left() -> AcceptorState {
        var bench = Bench(1)
        bench.list([1, 2, 3])
        let first = ballot(1, by: 2)
        bench.ask(.prepare(first, list([1, 2, 3]), from: node(2)))
        bench.ask(.accept(first, list([1, 2, 3]), value(1, [1, 2, 3]), from: node(2)), id: 2)
        _ = bench.settled()
        var state = bench.machine.state
        #expect(state.accepted?.value == value(1, [1, 2, 3]))
        state.abandon(own)
        return state
    }

    /// It was sent to all again with each answer to that, as often as there were answers.
    @Test func `What was dropped is proposed and announced no more, and the reason is said`() {
        let state = left()
        var bench = Bench(1, state: state)
        bench.list([1, 2, 3])
        bench.meet([1, 2, 3])
        let second = ballot(2, by: 1)
        #expect(bench.settled().ballots == [second, second, second])
        bench.promise(1, second, accepted: state.accepted)
        for k in 2...3 { bench.promise(k, second) }
        var said = bench.settled().sent
        for k in 2...3 {
            bench.machine.answered(.accepted(second, by: incarnation(k)), from: address(k))
        }
        bench.machine.answered(.accepted(second, by: incarnation(1)), from: address(1))
        for k in 2...3 {
            let formed = FormationMessage.formed(own, value(1, [1, 2, 3]))
            bench.machine.answered(formed, from: address(k))
        }
        said += bench.settled().sent
        #expect(said.isEmpty, "\(said)")
        #expect(bench.machine.waitingFor.hasPrefix("this node left cluster \(own), which"))
    }

    @Test func `It does not say that it joins what it left`() {
        var bench = Bench(1, state: left())
        bench.list([1, 2, 3])
        bench.machine.helloAnswered(
            facts(node(2), cluster: 1, leader: address(2)), from: address(2))
        bench.pass(300)
        #expect(bench.settled().sent.isEmpty)
        #expect(bench.machine.waitingFor.hasPrefix("this node left cluster \(own), which"))
        bench.list([1, 2, 3, 5])
        bench.machine.helloAnswered(
            facts(node(5), cluster: 2, leader: address(5)), from: address(5))
        bench.pass(300)
        #expect(!bench.machine.waitingFor.hasPrefix("this node left"))
    }
}
