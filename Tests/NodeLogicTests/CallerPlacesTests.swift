import Raft
import Replication
import Testing

@testable import NodeLogic

/// What a node tells those that ask who it is of themselves.
@Suite struct CallerPlacesTests {
    private let caller = NodeIdentity(member: Samples.member("1"))

    private func places(
        now: LogPosition? = nil, before: LogPosition? = nil
    ) -> CallerPlaces {
        var progress = now == nil ? [] : Samples.progress(["1": 0])
        for place in progress.indices { progress[place].acknowledged = now ?? .zero }
        return CallerPlaces(
            progress: progress, acknowledgedBefore: before.map { [caller: $0] } ?? [:], heard: [:],
            membership: Samples.voters("1", "2"))
    }

    private func position(_ index: UInt64, _ term: UInt64) -> LogPosition {
        LogPosition(index: LogIndex(index), term: Term(term))
    }

    @Test func `A member hears the most that it ever acknowledged to this node as its leader`() {
        let (old, new) = (position(9, 3), position(4, 5))
        #expect(places().acknowledged(by: caller) == nil)
        #expect(places(now: .zero).acknowledged(by: caller) == nil)
        #expect(places(now: new).acknowledged(by: caller) == new)
        #expect(places(before: old).acknowledged(by: caller) == old)
        #expect(places(now: .zero, before: old).acknowledged(by: caller) == old)
        #expect(places(now: new, before: old).acknowledged(by: caller) == new)
        // It leads anew, and the member holds less than it once did.
        #expect(places(now: old, before: new).acknowledged(by: caller) == new)
        let other = NodeIdentity(member: Samples.member("1", incarnation: 2))
        #expect(places(now: new, before: old).acknowledged(by: other) == nil)
    }

    /// 2 lacks what 1 and 3 hold, and 3 no longer leads when 1 comes back without it.
    @Test func `Who led once binds a disk that went back, whoever leads when that is asked`() {
        var scenario = NodeScenario()
        _ = scenario.run(
            (1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" } + [
                "run 1500", "save 1", "kill 2", "run 1000", "write 3 x:1", "run 500", "kill 1",
                "run 5000",
            ])
        func raft(_ number: Int) -> RaftMachine? {
            scenario.ensemble.nodes[number]?.machine?.replicated?.raft
        }
        #expect(raft(3)?.role != .leader)
        _ = scenario.run(["restore 1", "start 1 join=n1:1,n2:1,n3:1"])
        // Until 3 has told it, and before 3 leads anew and gives it what it lacks.
        for _ in 0..<400 where raft(1)?.missing == nil { _ = scenario.run(["run 10"]) }
        #expect(raft(1)?.missing != nil)
        _ = scenario.run(["kill 3", "start 2 join=n1:1,n2:1,n3:1", "run 10000"])
        #expect(raft(1)?.leader == nil && raft(2)?.leader == nil)
        let lines = scenario.run([
            "start 3 join=n1:1,n2:1,n3:1", "run 5000", "read 3 x level=linearizable", "run 500",
        ])
        #expect(lines.contains { $0.hasPrefix("read 3 x -> x=1") }, "\(lines)")
    }

    /// As above, and 3 was restarted since: it does not remember who acknowledged what.
    @Test func `What is committed binds a disk that went back, whoever remembers it`() {
        var scenario = NodeScenario()
        _ = scenario.run((1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" })
        _ = scenario.run([
            "run 1500", "save 1", "kill 2", "run 1000", "write 3 x:1", "run 500", "kill 1",
            "kill 3",
        ])
        func raft(_ number: Int) -> RaftMachine? {
            scenario.ensemble.nodes[number]?.machine?.replicated?.raft
        }
        // It answers, and can't be elected meanwhile.
        _ = scenario.run([
            "start 3", "run 2000", "hang 3", "restore 1", "start 1", "run 2000",
        ])
        #expect(raft(1)?.missing == nil)
        #expect(raft(1)?.lackedCommitted == LogPosition(index: LogIndex(2), term: Term(1)))
        _ = scenario.run(["kill 3", "start 2", "run 10000"])
        #expect(raft(1)?.leader == nil && raft(2)?.leader == nil)
        let wait = scenario.ensemble.nodes[1]?.machine?.status.waitingFor ?? ""
        #expect(wait.contains("others had committed entry 2 of term 1"), "\(wait)")
        let lines = scenario.run([
            "revive 3", "start 3", "run 5000", "read 3 x level=linearizable", "run 500",
        ])
        #expect(lines.contains { $0.hasPrefix("read 3 x -> x=1") }, "\(lines)")
    }

    @Test func `What a read replica knows to be committed binds no voter`() {
        var scenario = NodeScenario()
        _ = scenario.run(
            ["node 1", "run 1000", "node 2 plan=join replica=yes join=n1:1", "run 3000", "save 1"])
        _ = scenario.run(["write 1 x:1", "run 500", "kill 1", "restore 1", "start 1", "run 3000"])
        let raft = scenario.ensemble.nodes[1]?.machine?.replicated?.raft
        #expect(raft?.lackedCommitted == nil)
        #expect(raft?.role == .leader)
    }

    /// The voters go on from copies of before, while it still runs; it would stand for no election.
    @Test func `Nor does what a member knows that was removed`() {
        var scenario = NodeScenario()
        _ = scenario.run((1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" })
        _ = scenario.run([
            "run 1500", "save 2", "save 3", "write 3 x:1", "run 500", "kill 2", "kill 3",
        ])
        let removed = scenario.ensemble.nodes[1]?.machine?.replicated?.raft
        #expect(removed?.commitIndex == LogIndex(2) && removed?.role == .follower)
        _ = scenario.run(["mislead 1", "restore 2", "restore 3", "start 2", "start 3", "run 5000"])
        let rafts = [2, 3].map { scenario.ensemble.nodes[$0]?.machine?.replicated?.raft }
        #expect(rafts.allSatisfy { $0?.lackedCommitted == nil })
        #expect(rafts.contains { $0?.role == .leader })
    }

    /// What they acknowledged to it is in its memory, and once it has started anew its log alone says that it is no member.
    @Test(arguments: [false, true])
    func `Nor does what a leader holds that removed itself`(isStartedAnew: Bool) {
        var scenario = NodeScenario()
        _ = scenario.run((1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" })
        _ = scenario.run([
            "run 1500", "save 1", "save 2", "write 3 x:1", "run 500", "remove 3 3", "run 3000",
        ])
        let removed = scenario.ensemble.nodes[3]?.machine?.replicated?.raft
        #expect(removed?.membership.contains(NodeID("3")) == false)
        #expect(removed?.acknowledgedBefore.isEmpty == false)
        if isStartedAnew { _ = scenario.run(["kill 3", "start 3"]) }
        _ = scenario.run([
            "kill 1", "kill 2", "restore 1", "restore 2", "start 1", "start 2", "run 5000",
        ])
        let rafts = [1, 2].map { scenario.ensemble.nodes[$0]?.machine?.replicated?.raft }
        #expect(rafts.allSatisfy { $0?.missing == nil && $0?.lackedCommitted == nil })
        #expect(rafts.contains { $0?.role == .leader })
    }
}
