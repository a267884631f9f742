import Chance
@testable import Cluster
import PeerProtocol
import Raft
import Testing
import Time

@testable import NodeLogic

/// How a member finds the others again, or lets itself be found.
@Suite struct RejoiningTests {
    private let identity = NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(1))

    /// A member that listens elsewhere than its cluster knows.
    private func moved(_ plan: FormationPlan) -> Rendezvous {
        var settings = MachineSettings(
            explicitID: nil, fallbackID: identity.id, address: PeerAddress("new:4002"),
            apiURL: "", dataDirectory: "", version: "")
        settings.plan = plan
        return Rendezvous(
            NodeOptions(identity: identity, engine: "", settings: settings),
            chance: Xoshiro256((1, 2, 3, 4)))
    }

    private func situation(_ role: RoleName, _ members: Membership) -> Rendezvous.Situation {
        var situation = Rendezvous.Situation()
        situation.cluster = ClusterID(RandomID(high: 7, low: 7))
        situation.takesPart = true
        situation.role = role
        situation.leader = role == .leader ? identity.id : NodeID("2")
        situation.reachesLeader = true
        situation.membership = members
        return situation
    }

    private func asked(_ decisions: [Rendezvous.Decision]) -> [PeerAddress] {
        decisions.compactMap {
            if case .call(_, .hello, at: let address, timeout: _) = $0 { address } else { nil }
        }
    }

    private let plans: [FormationPlan] = [
        .alone, .bootstrap(expect: 3, timeout: .seconds(1), suffrage: .voter),
    ]

    @Test func `A leader that moved asks itself to change its address`() {
        for plan in plans {
            var rendezvous = moved(plan)
            for second: UInt64 in 1...3 {
                rendezvous.tick(
                    situation(.leader, Samples.voters("1", "2", "3")),
                    MonotonicTime(nanoseconds: second * 1_000_000_000))
            }
            #expect(asked(rendezvous.takeDecisions()).contains(PeerAddress("new:4002")))
        }
    }

    @Test func `A cluster's only member that moved asks itself to change its address`() {
        var rendezvous = moved(.alone)
        for second: UInt64 in 1...3 {
            rendezvous.tick(
                situation(.leader, Samples.voters("1")),
                MonotonicTime(nanoseconds: second * 1_000_000_000))
        }
        #expect(asked(rendezvous.takeDecisions()) == [PeerAddress("new:4002")])
    }

    /// The answer was on its way while the node became a member: to begin again would be to forget
    /// the vote that it gave since.
    @Test func `A member that hears late of its own founding does not begin again`() {
        var rendezvous = moved(plans[1])
        let members = Samples.voters("1", "2", "3")
        let present = situation(.follower, members)
        rendezvous.tick(present, MonotonicTime(nanoseconds: 1_000_000_000))
        #expect(rendezvous.search?.goal == .rejoin)
        _ = rendezvous.takeDecisions()
        let cluster = ClusterID(RandomID(high: 7, low: 7))
        let value = BootstrapValue(cluster: cluster, members: members.members)
        for message in [FormationMessage.formed(cluster, value), .chosen(value)] {
            rendezvous.answered(
                .formation, at: PeerAddress("n2:4002"), .success(.formation(message.encoded())))
        }
        for decision in rendezvous.takeDecisions() {
            switch decision {
            case .record(_, .membership), .establish, .begin: Issue.record("\(decision)")
            default: break
            }
        }
        rendezvous.tick(present, MonotonicTime(nanoseconds: 3_000_000_000))
        #expect(rendezvous.search?.goal == .rejoin, "it goes on looking")
    }

    /// By its membership the node would look for its own members where that one's are.
    @Test func `A member is taken in by its own cluster alone`() {
        let own = ClusterID(RandomID(high: 7, low: 7))
        let members = Samples.voters("1", "2", "3")
        for (cluster, isOwn) in [(own, true), (ClusterID(RandomID(high: 8, low: 8)), false)] {
            var rendezvous = moved(plans[1])
            rendezvous.tick(
                situation(.follower, members), MonotonicTime(nanoseconds: 1_000_000_000))
            _ = rendezvous.takeDecisions()
            let acceptance = JoinAcceptance(cluster: cluster, membership: members, leader: nil)
            rendezvous.answered(
                .join, at: PeerAddress("n2:4002"), .success(.joined(acceptance)))
            let introductions = rendezvous.takeDecisions().count {
                if case .introduced = $0 { true } else { false }
            }
            #expect(introductions == (isOwn ? 1 : 0))
            #expect((rendezvous.search == nil) == isOwn)
        }
    }

    @Test func `Messages that get no answer are not remembered for ever`() {
        var rendezvous = moved(plans[1])
        rendezvous.beginForming()
        let most = Rendezvous.Search.mostQuestions
        let bytes = FormationMessage.unformed(holdsAcceptance: true).encoded()
        for number in 1...2 * most {
            rendezvous.formationAsked(bytes, PeerQuestionID(number))
        }
        #expect(rendezvous.search?.questions.count == Int(most))
        // One that does gets its own.
        _ = rendezvous.takeDecisions()
        rendezvous.formationAsked(FormationMessage.inquiry.encoded(), PeerQuestionID(7))
        let answered: [PeerQuestionID] = rendezvous.takeDecisions().compactMap {
            if case .answer(let question, _) = $0 { question } else { nil }
        }
        #expect(answered == [PeerQuestionID(7)])
    }

    private struct Meeting: CustomTestStringConvertible {
        var testDescription: String
        var incarnation: UInt64 = 1
        var cluster: ClusterID?
        var members = Samples.voters("1", "2", "3")
        var isTold = false
    }

    private static let meetings = [
        Meeting(testDescription: "a founder that never heard of it", isTold: true),
        Meeting(
            testDescription: "a founder that did", cluster: ClusterID(RandomID(high: 7, low: 7))),
        Meeting(
            testDescription: "a founder that is in another cluster",
            cluster: ClusterID(RandomID(high: 8, low: 8))),
        Meeting(testDescription: "another data directory of its name", incarnation: 2),
        Meeting(
            testDescription: "a founder that was removed since", members: Samples.voters("1", "2")),
    ]

    /// The others' lists may have lost who knows, and without them there is no quorum.
    @Test(arguments: meetings)
    private func `A founder without a leader tells founders of the founding, and nobody else`(
        _ meeting: Meeting
    ) throws {
        var rendezvous = moved(plans[1])
        let cluster = ClusterID(RandomID(high: 7, low: 7))
        let founding = BootstrapValue(
            cluster: cluster, members: Samples.voters("1", "2", "3").members)
        rendezvous.acceptor.chosen = founding
        rendezvous.tick(
            situation(.follower, meeting.members), MonotonicTime(nanoseconds: 1_000_000_000))
        _ = rendezvous.takeDecisions()
        let hello = Hello(
            identity: NodeIdentity(
                id: NodeID("3"), incarnation: Samples.incarnation(meeting.incarnation)),
            cluster: meeting.cluster, address: PeerAddress("n3:4002"), apiURL: nil,
            versions: Hello.Versions(data: 1, program: "test", engine: "e"), suffrage: .voter,
            bootstrapExpect: 3, leader: nil, term: .zero, commitIndex: .zero, isReady: false)
        rendezvous.answered(.hello, at: PeerAddress("n3:4002"), .success(.hello(hello)))
        let told = try rendezvous.takeDecisions().compactMap { decision -> FormationMessage? in
            guard
                case .call(_, .formation(let bytes), at: PeerAddress("n3:4002"), timeout: _) =
                    decision
            else { return nil }
            return try FormationMessage(decoding: bytes)
        }
        #expect(told == (meeting.isTold ? [.chosen(founding)] : []))
    }
}
