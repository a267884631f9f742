import PeerProtocol
import Raft
import Replication
import Service
import Testing
import Time

@testable import NodeLogic

/// What clients have other nodes asked: each question takes a connection, and stays open when its client goes.
@Suite struct EnquiryTests {
    private static let forming = (1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" }

    private func leader(_ scenario: NodeScenario, seenBy number: Int = 1) throws -> Int {
        let machine = try #require(scenario.ensemble.nodes[number]?.machine)
        let leader = try #require(machine.replicated?.raft.leader)
        return try #require(Int(leader.rawValue))
    }

    /// Questions of a node that are not answered.
    private func open(_ scenario: NodeScenario, at number: Int) -> (surveys: Int, checks: Int) {
        var found = (surveys: 0, checks: 0)
        let calls = scenario.ensemble.nodes[number]?.machine?.calls ?? [:]
        for purpose in calls.values {
            switch purpose {
            case .survey: found.surveys += 1
            case .readiness: found.checks += 1
            default: break
            }
        }
        return found
    }

    @Test func `So many members are asked at a time, and none for longer than a minute`() throws {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["run 1500"])
        let leader = try leader(scenario)
        let silent = leader % 3 + 1
        _ = scenario.run(["cut \(leader) \(silent)"])
        let said = scenario.run(["nodes \(leader) count=600 timeout=3600000"])
        #expect(said.count { $0.hasSuffix(" -> busy") } == 472)
        #expect(open(scenario, at: leader).surveys == 128)
        let later = scenario.run(["run 61000"])
        #expect(later.count { $0.hasPrefix("nodes \(leader) #") } == 128)
        #expect(open(scenario, at: leader).surveys == 0)
        _ = scenario.run(["nodes \(leader) timeout=3600000"])
        #expect(open(scenario, at: leader).surveys == 1)
    }

    @Test func `Where there are many descriptors more members are asked at a time`() {
        #expect(Enquiries.mostQuestions(besides: 200) == 256)
        #expect(Enquiries.mostQuestions(besides: 4096) == 256)
        #expect(Enquiries.mostQuestions(besides: 40_000) == 625)
        #expect(Enquiries.mostQuestions(besides: 1 << 20) == 1024)
    }

    @Test func `So many checks wait for a leader that does not answer`() throws {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["run 1500"])
        let leader = try leader(scenario)
        let follower = leader % 3 + 1
        _ = scenario.run(["cut \(leader) \(follower)"])
        let said = scenario.run(["ready \(follower) count=300 timeout=3600000"])
        #expect(said.count { $0.contains("checks wait for its word already") } == 172, "\(said)")
        #expect(open(scenario, at: follower).checks == 128)
        _ = scenario.run(["run 61000"])
        #expect(open(scenario, at: follower).checks == 0)
    }

    @Test func `Who waits for a leader that is gone keeps nobody from the next one`() throws {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["run 1500"])
        let gone = try leader(scenario)
        let others = (1...3).filter { $0 != gone }
        _ = scenario.run(others.map { "cut \(gone) \($0)" })
        for other in others {
            _ = scenario.run([
                "ready \(other) count=300 timeout=3600000",
                "leader \(other) count=300 timeout=3600000",
            ])
        }
        _ = scenario.run(["run 5000"])
        let next = try leader(scenario, seenBy: others[0])
        let follower = try #require(others.first { $0 != next })
        #expect(next != gone)
        #expect(open(scenario, at: follower).checks == 128)
        #expect(open(scenario, at: follower).surveys == 64)
        let said = scenario.run(["ready \(follower)", "leader \(follower)", "run 100"])
        #expect(said.contains { $0.contains(" -> ready(") }, "\(said)")
        #expect(said.contains { $0.hasSuffix(" -> leader \(next)") }, "\(said)")
    }

    @Test
    func `Nothing comes of a check whose client has gone, and it counts until it is answered`() {
        let leader = NodeID("b")
        var enquiries = Enquiries()
        let request = ClientRequest(
            id: RequestID(1), operation: .readiness(.init(nodeOnly: false, sync: true)))
        for number in 1...UInt64(Enquiries.mostChecks) {
            let pending = PendingRequest(request, key: RequestKey(number), now: .zero)
            enquiries.begin(
                Enquiries.Check(pending: pending, sync: true, leader: leader),
                call: PeerCallID(number))
        }
        enquiries.cancelled([RequestKey(1)])
        #expect(enquiries.hasMostChecks(of: leader))
        let gone = enquiries.checked(PeerCallID(1))
        #expect(gone == nil)
        #expect(!enquiries.hasMostChecks(of: leader))
        let other = enquiries.checked(PeerCallID(2))
        #expect(other?.pending.key == RequestKey(2))
    }

    /// Each is looked at once for all that is applied meanwhile.
    @Test func `A check that waits for the database is not tried before it has come so far`() {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["run 1500", "hang 1 database", "write 3 x:1", "run 200"])
        _ = scenario.run(["ready 1 sync=yes timeout=60000", "run 200"])
        let parked = scenario.ensemble.nodes[1]?.machine?.router.parked ?? []
        #expect(parked.count == 1)
        #expect(parked.allSatisfy { $0.awaited != nil })
        let said = scenario.run(["revive 1", "run 200"])
        #expect(said.contains { $0.hasSuffix(" -> ready(synced: true)") }, "\(said)")
    }

    /// Who moved to its address, say: the leader is heard all the same, and nothing is sent on to it.
    @Test func `Another node that answers where the leader should be is not the leader`() throws {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["run 1500"])
        let leader = try leader(scenario)
        let (asking, other) = (leader % 3 + 1, (leader + 1) % 3 + 1)
        let hello = try #require(scenario.ensemble.nodes[other]?.machine?.hello)
        _ = scenario.run(["cut \(leader) \(asking)", "ready \(asking) timeout=60000"])
        let calls = scenario.ensemble.nodes[asking]?.machine?.calls ?? [:]
        let call = calls.first { if case .readiness = $0.value { true } else { false } }
        let id = try #require(call?.key)
        let said = scenario.say(.answered(id, .success(.hello(hello))), to: asking)
        #expect(
            said.contains { $0.contains("node \(other) answers where it should be") }, "\(said)")
    }

    @Test func `Who asks to join and waits for no answer has few places asked whether it is there`()
        throws
    {
        var scenario = NodeScenario()
        // Nobody answers where the second one was, nor refuses to.
        _ = scenario.run(["node 1", "node 2 plan=join join=n9:1", "run 1500", "kill 2"])
        for number in 0..<200 as Range<UInt64> {
            let request = Samples.join("j\(number)", at: "n2:1")
            let caller = PeerCaller(identity: request.identity, remoteAddress: "test")
            scenario.say(
                .peerAsked(PeerQuestionID(1 << 50 + number), .join(request), caller), to: 1)
        }
        #expect(dialBacks(scenario) == 64)
        // A member that moved is not kept out by these.
        let member = try #require(scenario.ensemble.nodes[1]?.machine?.options.identity)
        for number in 0..<200 as Range<UInt64> {
            let request = JoinRequest(
                identity: member, address: PeerAddress("n2:1"), apiURL: nil, suffrage: .voter,
                cluster: nil)
            let caller = PeerCaller(identity: member, remoteAddress: "test")
            scenario.say(
                .peerAsked(PeerQuestionID(1 << 51 + number), .join(request), caller), to: 1)
        }
        #expect(dialBacks(scenario) == 128)
    }

    private func dialBacks(_ scenario: NodeScenario) -> Int {
        let calls = scenario.ensemble.nodes[1]?.machine?.calls ?? [:]
        return calls.values.count { if case .membership = $0 { true } else { false } }
    }
}
