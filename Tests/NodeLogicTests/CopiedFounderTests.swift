import Chance
import PeerProtocol
import Raft
import Registry
import Testing
import Time

@testable import NodeLogic

/// A data directory that was copied before it had a cluster, by whose founding both are named.
@Suite struct CopiedFounderTests {
    private static let identity = NodeIdentity(
        id: NodeID("1"), incarnation: Samples.incarnation(1))
    private static let original = PeerAddress("n1:4002")
    private static let start = MonotonicTime(nanoseconds: 1_000_000_000)

    /// A node that has just learnt that it is the one founder of a cluster, which knows it at n1.
    private static func founder(
        at address: PeerAddress
    ) -> (machine: NodeMachine, asked: [(id: PeerCallID, place: PeerAddress)]) {
        let settings = MachineSettings(
            explicitID: nil, fallbackID: identity.id, address: address, apiURL: "",
            dataDirectory: "", version: "")
        var machine = NodeMachine(
            NodeOptions(identity: identity, engine: "e", settings: settings),
            chance: Xoshiro256((1, 2, 3, 4)), now: start)
        machine.begin(
            NodeMachine.Beginning(
                restored: RestoredState(membership: Samples.voters("1")),
                cluster: ClusterID(RandomID(high: 7, low: 7)), isEstablished: false,
                formation: StoredFormation(), hasRegistry: false))
        machine.turn([.database(.established)], at: start, wallMilliseconds: 0)
        var asked: [(id: PeerCallID, place: PeerAddress)] = []
        for effect in machine.takeEffects() {
            if case .call(let id, .hello, at: let place, of: _, timeout: _) = effect {
                asked.append((id, place))
            }
        }
        return (machine, asked)
    }

    private static func takesPart(_ machine: NodeMachine) -> Bool { machine.replicated != nil }

    private static func hello(run: RandomID) -> PeerResult {
        .success(
            .hello(
                Hello(
                    identity: identity, cluster: nil, address: original, apiURL: nil,
                    versions: Hello.Versions(data: 1, program: "test", engine: "e"),
                    suffrage: .voter, bootstrapExpect: nil, leader: nil, term: .zero,
                    commitIndex: .zero, isReady: false, run: run)))
    }

    @Test func `The copy ends before it takes part, and names the place of its original`() throws {
        var (machine, asked) = Self.founder(at: PeerAddress("n9:4002"))
        #expect(asked.map { $0.place } == [Self.original])
        #expect(!Self.takesPart(machine))
        let call = try #require(asked.first)
        machine.turn(
            [.answered(call.id, Self.hello(run: RandomID(high: 9, low: 9)))], at: Self.start,
            wallMilliseconds: 0)
        #expect(machine.isOver && !Self.takesPart(machine))
        let fault = try #require(machine.fault)
        #expect(fault.contains("is alive at n1:4002, and this one would be at n9:4002"), "\(fault)")
    }

    @Test func `A founder that has moved goes on, whoever else or nobody is where it was`() throws {
        let (_, asked) = Self.founder(at: PeerAddress("n9:4002"))
        let call = try #require(asked.first)
        let results: [(NodeMachine) -> PeerResult] = [
            { _ in .failure(PeerFailure(cause: "connection refused")) },
            // Its own process, by another name of its address.
            { Self.hello(run: $0.identityWatch.run) },
        ]
        for result in results {
            var (machine, _) = Self.founder(at: PeerAddress("n9:4002"))
            let answer = result(machine)
            machine.turn([.answered(call.id, answer)], at: Self.start, wallMilliseconds: 0)
            #expect(!machine.isOver && Self.takesPart(machine))
        }
    }

    @Test func `A founder that is where its cluster knows it asks nobody`() {
        let (machine, asked) = Self.founder(at: Self.original)
        #expect(asked.isEmpty)
        #expect(Self.takesPart(machine))
    }

    /// As by a list of addresses: it would ask for ever.
    @Test func `A copy that a registry leads to its original's cluster ends when it is refused`() {
        var settings = MachineSettings(
            explicitID: nil, fallbackID: Self.identity.id, address: PeerAddress("n9:4002"),
            apiURL: "", dataDirectory: "", version: "")
        settings.plan = .registry(expect: nil, timeout: nil, suffrage: .voter)
        var rendezvous = Rendezvous(
            NodeOptions(identity: Self.identity, engine: "e", settings: settings),
            chance: Xoshiro256((1, 2, 3, 4)))
        rendezvous.beginRegistry(RegistryState())
        rendezvous.beginForming()
        let refusal = JoinRefusal(code: .identityInUse, text: "in use twice", leader: nil)
        rendezvous.answered(.join, at: Self.original, .success(.joinRefused(refusal)))
        let ends = rendezvous.takeDecisions().filter {
            if case .fail("in use twice") = $0 { true } else { false }
        }
        #expect(ends.count == 1)
    }
}
