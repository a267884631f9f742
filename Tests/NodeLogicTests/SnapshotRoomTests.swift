import Raft
import Replication
import Testing
import Time

@testable import NodeLogic

/// A snapshot on its way holds the database, and so the log, while a disk has no room for more.
@Suite struct SnapshotRoomTests {
    private func role(_ number: Int, of scenario: NodeScenario) -> RoleName? {
        scenario.ensemble.nodes[number]?.machine?.replicated?.raft.role
    }

    /// 3 lags, so that 1 must go on leading whatever its disk says.
    @Test
    func `A leader whose log has no room gives up a snapshot that keeps it from getting shorter`() {
        var scenario = NodeScenario.lagging()
        #expect(role(1, of: scenario) == .leader)
        let sent = scenario.run(["hold on", "start 3", "run 3000"])
        #expect(sent.contains("3: receives a snapshot of 1"), "\(sent)")
        let lines = scenario.run(["full 1 on"])
        #expect(lines.contains("1: cancels snapshot 1"), "\(lines)")
        #expect(
            lines.contains { $0.hasPrefix("1: snapshot not sent node.id=3 cause=this node's log") })
        // What it asked of the database's thread has come to its end, and stands in nobody's way.
        #expect(scenario.ensemble.nodes[1]?.machine?.checkpoints.waiting.isEmpty == true)
        #expect(scenario.ensemble.nodes[1]?.snapshots.isEmpty == true)
        _ = scenario.run(["full 1 off", "hold off", "run 5000"])
        #expect(role(1, of: scenario) == .leader)
        let read = scenario.run(["read 3 x level=none"])
        #expect(read.contains { $0.hasPrefix("read 3 x -> x=8") }, "\(read)")
    }

    /// It may be hours from its end, and the next waits for that.
    @Test func `A snapshot on its way to who is removed is given up`() {
        var scenario = NodeScenario.lagging()
        let sent = scenario.run(["hold on", "start 3", "run 3000"])
        #expect(sent.contains("3: receives a snapshot of 1"), "\(sent)")
        let lines = scenario.run(["remove 1 3", "run 500"])
        #expect(lines.contains("remove 1 3 -> done"), "\(lines)")
        #expect(lines.contains("1: cancels snapshot 1"), "\(lines)")
        #expect(
            lines.contains { $0.hasPrefix("1: snapshot not sent node.id=3 cause=it is no member") },
            "\(lines)")
        #expect(scenario.ensemble.nodes[1]?.snapshots.isEmpty == true)
    }

    /// It could be put in place only behind the write that waits, and the node would hear nobody until then.
    @Test func `A node whose log has no room takes no snapshot, and one when it has`() {
        var scenario = NodeScenario.lagging()
        let lines = scenario.run(["start 3", "full 3 on", "run 3000"])
        #expect(
            lines.contains {
                $0.hasPrefix("1: snapshot not sent node.id=3") && $0.contains("log has no room")
            }, "\(lines)")
        #expect(scenario.ensemble.nodes[3]?.machine?.replicated?.isInstalling == false)
        #expect(scenario.ensemble.nodes[3]?.machine?.replicated?.raft.leader == NodeID("1"))
        _ = scenario.run(["full 3 off", "run 5000"])
        let read = scenario.run(["read 3 x level=none"])
        #expect(read.contains { $0.hasPrefix("read 3 x -> x=8") }, "\(read)")
    }

    @Test func `A snapshot that is whole when the log has no room any more is dropped`() {
        var scenario = NodeScenario.lagging()
        let sent = scenario.run(["hold on", "start 3", "run 3000"])
        #expect(sent.contains("3: receives a snapshot of 1"), "\(sent)")
        let lines = scenario.run(["full 3 on", "hold off", "deliver 3"])
        #expect(
            lines.contains {
                $0.hasPrefix("1: snapshot not sent node.id=3") && $0.contains("log has no room")
            }, "\(lines)")
        #expect(scenario.ensemble.nodes[3]?.received.isEmpty == true)
        _ = scenario.run(["full 3 off", "run 5000"])
        let read = scenario.run(["read 3 x level=none"])
        #expect(read.contains { $0.hasPrefix("read 3 x -> x=8") }, "\(read)")
    }

    @Test func `A node whose log has no room asks for no database before it has`() {
        var scenario = NodeScenario()
        _ = scenario.run(
            (1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1 checksums=1000" })
        _ = scenario.run(["run 1500", "write 1 a:1", "write 1 b:2", "run 3000"])
        let leader = (1...3).first { role($0, of: scenario) == .leader } ?? 1
        let other = leader % 3 + 1
        let lines = scenario.run(["full \(other) on", "rot \(other) a:9", "run 15000"])
        #expect(
            lines.contains {
                $0.hasPrefix("\(other): [ this node's database is not to be trusted")
            },
            "\(lines)")
        #expect(!lines.contains { $0.contains("snapshot not sent") }, "\(lines)")
        let later = scenario.run(["full \(other) off", "run 8000"])
        #expect(
            later.contains { $0.hasPrefix("\(other): this node's database was replaced") },
            "\(later)")
    }

    /// Of one that is alone nobody will ever ask for an entry.
    @Test func `A log keeps nothing for others where the database has no room`() {
        var scenario = NodeScenario()
        _ = scenario.run(["node 1", "run 1000", "write 1 x:1", "write 1 x:2", "run 100"])
        #expect(role(1, of: scenario) == .leader)
        #expect(scenario.ensemble.nodes[1]?.disk.base.index == .zero)
        scenario.say(.database(.full(true)), to: 1)
        let applied = scenario.ensemble.nodes[1]?.disk.applied.index
        #expect(scenario.ensemble.nodes[1]?.disk.base.index == applied)
    }

    /// Of the snapshot that has come, and of its database.
    private static let mark = SnapshotMark(
        position: LogPosition(index: LogIndex(9), term: Term(1)),
        membership: Samples.voters("1"), membershipIndex: .zero)
    private static let next = Generation(2)

    private func keeper() -> ApplyKeeper {
        let limits = ApplyKeeper.Limits(
            checkpointBytes: 1 << 20, checkpointEntries: 100, checkpointInterval: .seconds(1),
            holdBytes: 1 << 20)
        return ApplyKeeper(limits, generation: .first, applied: .zero, now: .zero)
    }

    private func says(_ isFull: Bool, _ step: ApplyStep) -> Bool {
        guard case .report(let reports) = step, case .full(let said)? = reports.first else {
            return false
        }
        return said == isFull
    }

    private func switches(_ step: ApplyStep) -> Bool {
        if case .switchTo = step { true } else { false }
    }

    @Test func `A database that a snapshot brings is opened when there is a descriptor for it`() {
        let (next, mark) = (Self.next, Self.mark)
        var keeper = keeper()
        keeper.post(.switchTo(next, mark))
        for attempt in 1...151 {
            #expect(switches(keeper.next()))
            // What does not pass ends the node.
            guard keeper.notSwitched(to: next, mark) else {
                #expect(attempt == 151)
                return
            }
            guard case .wait(.some) = keeper.next() else {
                Issue.record("it does not rest")
                return
            }
            keeper.woke(at: .zero)
        }
        Issue.record("it is tried for ever")
    }

    @Test func `A database that a snapshot brings waits for room for as long as that takes`() {
        let (next, mark) = (Self.next, Self.mark)
        var keeper = keeper()
        keeper.post(.switchTo(next, mark))
        #expect(switches(keeper.next()))
        for attempt in 1...200 {
            let isTriedAgain = keeper.notSwitched(to: next, mark, lacksRoom: true)
            #expect(isTriedAgain)
            if attempt == 1 { #expect(says(true, keeper.next())) }
            guard case .wait(.some) = keeper.next() else {
                Issue.record("it does not rest")
                return
            }
            keeper.woke(at: .zero)
            #expect(switches(keeper.next()))
        }
        keeper.switched(to: next, mark)
        #expect(says(false, keeper.next()))
    }

    @Test func `That the database can't be opened once more for a snapshot is no end`() {
        var keeper = keeper()
        let id = SnapshotSendID(1)
        keeper.post(.openSnapshot(id))
        guard case .openSnapshot = keeper.next() else {
            Issue.record("it is not opened")
            return
        }
        keeper.notOpened(id, cause: "no descriptor")
        guard case .report(let reports) = keeper.next(),
            case .snapshotOpened(_, .failure(let failure))? = reports.first
        else {
            Issue.record("nothing is said of it")
            return
        }
        #expect(failure.description == "no descriptor")
        guard case .wait(nil) = keeper.next() else {
            Issue.record("it does not go on")
            return
        }
    }
}
