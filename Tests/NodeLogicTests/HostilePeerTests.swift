import PeerProtocol
import Raft
import Replication
import Service
import Testing
import Time

@testable import NodeLogic

/// Whatever a peer says, no node traps or ends, no number space is used up, no membership changes, and
/// afterwards the cluster goes on.
@Suite struct HostilePeerTests {
    private static let forming = (1...3).map { "node \($0) plan=expect:3 join=n1:1,n2:1,n3:1" }

    private func attacker(_ seed: UInt64, on number: Int, of ensemble: Ensemble) -> Attacker? {
        guard let node = ensemble.nodes[number] else { return nil }
        let raft = node.machine?.replicated?.raft
        let members = ensemble.nodes.keys.sorted().compactMap { ensemble.nodes[$0]?.options }
            .map { options in
                Member(
                    id: options.identity.id, incarnation: options.identity.incarnation,
                    address: options.address, suffrage: .voter)
            }
        return Attacker(
            seed: seed, victim: node.options.identity,
            cluster: node.machine?.cluster ?? ClusterID(RandomID(high: 5, low: 5)),
            term: raft?.term ?? .zero, last: raft?.lastPosition ?? .zero, members: members)
    }

    /// Lets the attacker speak to one node for a while, while the others go on.
    private func attack(_ number: Int, _ seed: UInt64, in scenario: inout NodeScenario) {
        guard var attacker = attacker(seed, on: number, of: scenario.ensemble) else { return }
        var said: [NodeEvent] = []
        for round in 0..<200 {
            let calls =
                scenario.ensemble.nodes[number]?.machine?.calls.keys
                .sorted { $0.rawValue < $1.rawValue } ?? []
            let event = attacker.event(answering: calls)
            said.append(event)
            scenario.say(event, to: number)
            // Again, and late.
            if round % 7 == 0 { scenario.say(said[round / 2], to: number) }
            if round % 5 == 0 { _ = scenario.run(["run 10"]) }
        }
        // What it began to send is over when its connections are.
        for case .snapshot(.offered(let id, _)) in said {
            scenario.say(.snapshot(.failed(id, cause: "the connection broke")), to: number)
        }
    }

    @Test(arguments: 0..<24 as Range<UInt64>)
    func `A cluster goes on after an attack on any of its nodes`(seed: UInt64) throws {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["run 1500", "write 3 a:1", "run 500"])
        let number = 1 + Int(seed % 3)
        let before = try #require(scenario.ensemble.nodes[number]?.machine).status
        attack(number, seed, in: &scenario)
        _ = scenario.run(["run 15000"])
        let machine = try #require(scenario.ensemble.nodes[number]?.machine, "the node has ended")
        #expect(!machine.isOver && machine.fault == nil)
        let after = machine.status
        #expect(after.membership == before.membership)
        #expect(after.term.epoch == before.term.epoch)
        #expect(after.term.rawValue - before.term.rawValue <= Reach.terms + 100)
        #expect(after.lastPosition.index.rawValue < before.lastPosition.index.rawValue + 100)
        #expect(after.troubles.count <= 3 * Troubles.limit)
        let wrote = scenario.run([
            "write 2 b:2", "run 2000", "read 1 b level=linearizable", "run 500",
        ])
        #expect(wrote.contains("write 2 b:2 -> ok"), "\(wrote)")
        #expect(wrote.contains { $0.hasPrefix("read 1 b -> b=2") }, "\(wrote)")
    }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func `Nodes that are attacked before they have a cluster form one`(seed: UInt64) throws {
        var scenario = NodeScenario()
        _ = scenario.run([Self.forming[0], "run 100"])
        attack(1, seed, in: &scenario)
        _ = scenario.run(Array(Self.forming[1...]) + ["run 20000"])
        let wrote = scenario.run(["write 2 b:2", "run 2000"])
        #expect(wrote.contains("write 2 b:2 -> ok"), "\(wrote) \(scenario.run(["status"]))")
    }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func `A node that is attacked at its start comes back`(seed: UInt64) throws {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["run 1500", "write 3 a:1", "run 500"])
        let number = 1 + Int(seed % 3)
        _ = scenario.run(["kill \(number)", "run 2000", "cut 1 2", "cut 2 3", "cut 1 3"])
        _ = scenario.run(["start \(number) join=n1:1,n2:1,n3:1"])
        attack(number, seed, in: &scenario)
        _ = scenario.run(["heal", "run 20000"])
        let wrote = scenario.run(["write \(number) b:2", "run 2000"])
        #expect(
            wrote.contains("write \(number) b:2 -> ok"), "\(wrote) \(scenario.run(["status"]))")
    }

    // MARK: What becomes of the peer

    private func voteOfNobody(_ node: Ensemble.Node, in cluster: ClusterID) -> Message {
        Message(
            cluster: cluster, from: node.options.identity, to: NodeID("3"), term: Term(1 << 30),
            body: .termIsBehind)
    }

    @Test func `Who breaks the protocol is refused and named, once, and forgiven after a while`()
        throws
    {
        var scenario = NodeScenario()
        _ = scenario.run(Self.forming + ["run 1500"])
        let peer = try #require(scenario.ensemble.nodes[1])
        let cluster = try #require(peer.machine?.cluster)
        let message = voteOfNobody(peer, in: cluster)
        let first = scenario.say(.messages([message]), to: 3)
        #expect(
            first == [
                "3: refuses node 1: message refused: termTooFar",
                "3: [ a peer is broken or hostile: it was refused about 1: message refused: termTooFar",
            ])
        let again = scenario.say(.messages([message]), to: 3)
        #expect(again.isEmpty)
        let troubles = try #require(scenario.ensemble.nodes[3]?.machine).status.troubles
        #expect(troubles.map(\.kind) == [.peerBrokeProtocol])
        let later = scenario.run(["run 40000"])
        #expect(later == ["3: ] a peer is broken or hostile: it was refused about 1"])
    }

    @Test func `Who sends a false message of the agreement is refused and named`() throws {
        var scenario = NodeScenario()
        _ = scenario.run([Self.forming[0], "run 100"])
        let stranger = NodeIdentity(
            id: NodeID("9"), incarnation: Incarnation(RandomID(high: 9, low: 9)))
        let said = scenario.say(
            .peerAsked(
                PeerQuestionID(1 << 50), .formation([255]),
                PeerCaller(identity: stranger, remoteAddress: "test")), to: 1)
        #expect(said.contains { $0.hasPrefix("1: refuses node 9: formation message") }, "\(said)")
        #expect(said.contains { $0.hasPrefix("1: [ a peer is broken or hostile") }, "\(said)")
    }
}
