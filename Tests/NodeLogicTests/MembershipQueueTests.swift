import PeerProtocol
import Raft
import Replication
import Service
import Testing
import Time

@testable import NodeLogic

/// Changes of the membership that wait, and for how long.
@Suite struct MembershipQueueTests {
    /// Removals of these, each asked for at the clock's start, with ten seconds.
    private func queue(removing ids: UInt64...) -> MembershipQueue {
        var queue = MembershipQueue()
        for number in ids {
            let id = NodeID("\(number)")
            let request = ClientRequest(
                id: RequestID(number), operation: .remove(id), timeout: .seconds(10))
            let pending = PendingRequest(request, key: RequestKey(number), now: .zero)
            queue.append(.remove(id, pending), deadline: pending.deadline)
        }
        return queue
    }

    /// Whose clients are to be told, after so many seconds.
    private func told(_ queue: inout MembershipQueue, after seconds: Int) -> [UInt64] {
        queue.expired(now: .zero + .seconds(seconds), all: false).compactMap { operation in
            if case .remove(_, let pending?) = operation { pending.key.rawValue } else { nil }
        }
    }

    @Test func `A removal that was not begun in its time never is`() {
        var queue = queue(removing: 2, 1)
        let early = told(&queue, after: 9)
        #expect(early.isEmpty)
        let late = told(&queue, after: 10)
        #expect(late == [2, 1])
        #expect(queue.isEmpty)
    }

    @Test func `Few joins wait, and members that moved have places of their own`() {
        let most = MembershipQueue.mostJoins
        var queue = queue(removing: 1, 2)
        for hasRoom in [true, false] {
            #expect(queue.hasRoomForJoin(ofMember: false) == hasRoom)
            #expect(queue.hasRoomForJoin(ofMember: true))
            for number in 0..<UInt64(most) {
                queue.append(
                    .add(Samples.join("4"), PeerQuestionID(number), replaced: nil),
                    deadline: .zero)
            }
        }
        #expect(!queue.hasRoomForJoin(ofMember: true))
        _ = queue.expired(now: .zero, all: false)
        #expect(queue.hasRoomForJoin(ofMember: false))
    }

    @Test func `One that is on its way goes on, and nobody waits for it`() {
        var queue = queue(removing: 2, 1)
        queue.proposed()
        let late = told(&queue, after: 10)
        #expect(late == [2, 1])
        #expect(queue.count == 1)
        #expect(queue.isRemoving(NodeID("2")))
        let again = told(&queue, after: 60)
        #expect(again.isEmpty)
        queue.settled()
        guard case .remove(let id, nil)? = queue.next else {
            Issue.record("not the removal that was begun")
            return
        }
        #expect(id == NodeID("2"))
    }

    @Test func `Removals that wait for their turn have a bound`() {
        var scenario = NodeScenario()
        _ = scenario.run((1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" })
        _ = scenario.run(["run 1500", "hang 1", "hang 2"])
        let lines = scenario.run(["remove 3 2 count=1030 timeout=10000"])
        #expect(lines.count { $0.hasSuffix("-> busy") } == 6, "\(lines.prefix(9))")
    }

    /// Who returns needs no right to join.
    @Test func `Who returns and is removed before its turn comes is not taken in again`() {
        var scenario = NodeScenario()
        _ = scenario.run((1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" })
        _ = scenario.run(["run 1500"])
        let found = (1...3).first { number in
            scenario.ensemble.nodes[number]?.machine?.replicated?.raft.role == .leader
        }
        guard let leader = found else {
            Issue.record("nobody leads")
            return
        }
        let (first, second) = (leader % 3 + 1, (leader + 1) % 3 + 1)
        _ = scenario.run([
            "hang \(first)", "hang \(second)", "remove \(leader) \(first)",
            "remove \(leader) \(second)",
        ])
        guard let node = scenario.ensemble.nodes[second], let machine = node.machine else {
            Issue.record("no node")
            return
        }
        let request = JoinRequest(
            identity: node.options.identity, address: node.options.address, apiURL: nil,
            suffrage: .voter, cluster: machine.cluster, intent: .resume,
            run: machine.identityWatch.run)
        let caller = PeerCaller(identity: node.options.identity, remoteAddress: "test")
        scenario.say(.peerAsked(PeerQuestionID(1 << 40), .join(request), caller), to: leader)
        #expect(scenario.ensemble.nodes[leader]?.machine?.membership.pendingChanges == 3)
        _ = scenario.run(["revive \(first)", "revive \(second)", "run 3000"])
        let left = scenario.ensemble.nodes[leader]?.machine?.replicated?.raft.membership
        #expect(left?.members.map(\.id) == [NodeID("\(leader)")])
    }
}
