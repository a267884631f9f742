import Chance
import PeerProtocol
import Raft
import Registry
import Replication
import Testing
import Time

@testable import NodeLogic

/// A data directory that was copied before it had a cluster, by whose founding both are named, or that went back to
/// that state.
@Suite struct CopiedFounderTests {
    private static let identity = NodeIdentity(
        id: NodeID("1"), incarnation: Samples.incarnation(1))
    private static let original = PeerAddress("n1:4002")
    private static let cluster = ClusterID(RandomID(high: 7, low: 7))
    private static let start = MonotonicTime(nanoseconds: 1_000_000_000)

    /// A node that has just learnt that it is a founder of a cluster, which knows it at n1: the one founder, as a rule.
    /// - Parameter met: who answered it on the way there.
    private static func founder(
        at address: PeerAddress, among founders: Membership = Samples.voters("1"),
        met: [Hello] = []
    ) -> (machine: NodeMachine, asked: [(id: PeerCallID, place: PeerAddress)]) {
        var machine = machine(at: address)
        for hello in met { machine.rendezvous.noteWork(of: hello) }
        machine.begin(
            NodeMachine.Beginning(
                restored: RestoredState(membership: founders), cluster: cluster,
                isEstablished: false, formation: StoredFormation(), hasRegistry: false))
        machine.turn([.database(.established)], at: start, wallMilliseconds: 0)
        let asked = asked(by: &machine)
        return (machine, asked)
    }

    private static func machine(at address: PeerAddress) -> NodeMachine {
        let settings = MachineSettings(
            explicitID: nil, fallbackID: identity.id, address: address, apiURL: "",
            dataDirectory: "", version: "")
        return NodeMachine(
            NodeOptions(identity: identity, engine: "e", settings: settings),
            chance: Xoshiro256((1, 2, 3, 4)), now: start)
    }

    private static func asked(
        by machine: inout NodeMachine
    ) -> [(id: PeerCallID, place: PeerAddress)] {
        var asked: [(id: PeerCallID, place: PeerAddress)] = []
        for effect in machine.takeEffects() {
            if case .call(let id, .hello, at: let place, of: _, timeout: _) = effect {
                asked.append((id, place))
            }
        }
        return asked
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

    /// What node 2 says, which leads the cluster.
    private static func leader(
        knowing acknowledged: LogPosition? = nil, at place: PeerAddress? = nil
    ) -> Hello {
        var hello = Hello(
            identity: NodeIdentity(id: NodeID("2"), incarnation: Samples.incarnation(1)),
            cluster: cluster, address: PeerAddress("n2:4002"), apiURL: nil,
            versions: Hello.Versions(data: 1, program: "test", engine: "e"), suffrage: .voter,
            bootstrapExpect: nil, leader: nil, term: Term(3), commitIndex: LogIndex(9),
            isReady: true, callerAddress: place)
        hello.callerAcknowledged = acknowledged
        return hello
    }

    /// Its disk may be that of a voter, from before the founding.
    @Test func `A founder that comes to a cluster which works asks what it promised there`() throws
    {
        var (machine, asked) = Self.founder(
            at: Self.original, among: Samples.voters("1", "2", "3"), met: [Self.leader()])
        #expect(asked.map { $0.place.rawValue } == ["n1:4002", "n2:4002", "n3:4002"])
        #expect(!Self.takesPart(machine))
        try #require(asked.count == 3)
        let promised = LogPosition(index: LogIndex(8), term: Term(2))
        let silence = PeerResult.failure(PeerFailure(cause: "connection refused"))
        let answers = [silence, .success(.hello(Self.leader(knowing: promised))), silence]
        for (call, answer) in zip(asked, answers) {
            machine.turn([.answered(call.id, answer)], at: Self.start, wallMilliseconds: 0)
        }
        #expect(Self.takesPart(machine))
        #expect(machine.replicated?.raft.missing == promised)
    }

    /// Where all start together a founder, or a member whose disk went back, may meet nobody who takes part.
    @Test func `A member that does not take part yet says what its disk knows to be committed`() {
        let committed = LogPosition(index: LogIndex(5), term: Term(2))
        let runs = [
            LogPosition(index: LogIndex(1), term: Term(1)),
            LogPosition(index: LogIndex(4), term: Term(2)),
            LogPosition(index: LogIndex(6), term: Term(3)),
        ]
        for (members, tells) in [
            (Samples.voters("1", "2"), true),
            (Samples.voters("2").setting(Samples.member("1", .nonvoter)), false),
        ] {
            var machine = Self.machine(at: Self.original)
            machine.begin(
                NodeMachine.Beginning(
                    restored: RestoredState(
                        hardState: HardState(term: Term(4)), termRuns: runs,
                        lastIndex: LogIndex(7), membership: members, commitIndex: LogIndex(5)),
                    cluster: Self.cluster, isEstablished: true, formation: StoredFormation(),
                    hasRegistry: false))
            #expect(!Self.takesPart(machine))
            let hello = machine.hello
            #expect(hello.commitIndex == LogIndex(5) && hello.term == Term(4))
            let told: LogPosition? = tells ? committed : nil
            #expect(hello.committed == told)
        }
    }

    @Test func `A copy at the place of the founding ends where its original has moved since`()
        throws
    {
        var (machine, asked) = Self.founder(
            at: Self.original, among: Samples.voters("1", "2"), met: [Self.leader()])
        let call = try #require(asked.first { $0.place == PeerAddress("n2:4002") })
        let moved = PeerAddress("n9:4002")
        machine.turn(
            [.answered(call.id, .success(.hello(Self.leader(at: moved))))], at: Self.start,
            wallMilliseconds: 0)
        let further = Self.asked(by: &machine)
        let next = try #require(further.first { $0.place == moved })
        machine.turn(
            [.answered(next.id, Self.hello(run: RandomID(high: 9, low: 9)))], at: Self.start,
            wallMilliseconds: 0)
        #expect(machine.isOver && !Self.takesPart(machine))
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
