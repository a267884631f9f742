import Chance
import Cluster
import PeerProtocol
import Raft
import Registry
import Replication

@testable import NodeLogic

/// A peer that says whatever it likes: numbers at and near every limit, names that are right, wrong, its
/// own and nobody's, each thing perhaps again. It forges no entry, no bootstrap and no verdict on who is a
/// member: those it could only forge with a member's rights, and nothing in them is out of reach.
struct Attacker {
    private var chance: SplitMix64
    /// What it knows of whom it attacks.
    let victim: NodeIdentity
    let cluster: ClusterID
    let term: Term
    let last: LogPosition
    let members: [Member]
    private var lastID: UInt64 = 1 << 40

    init(
        seed: UInt64, victim: NodeIdentity, cluster: ClusterID, term: Term, last: LogPosition,
        members: [Member]
    ) {
        chance = SplitMix64(seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ 1)
        self.victim = victim
        self.cluster = cluster
        self.term = term
        self.last = last
        self.members = members
    }

    private mutating func next() -> UInt64 { chance.next() }

    private mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }

    private mutating func pick<T>(_ list: [T]) -> T { list[below(list.count)] }

    /// At and near every limit.
    private mutating func number(near own: UInt64) -> UInt64 {
        let edges: [UInt64] = [
            0, own, 1 << 24, 1 << 31, 1 << 32, 1 << 48, 1 << 62, 1 << 63, .max, next(),
        ]
        let steps: [UInt64] = [0, 1, 2, 0 &- 1, 0 &- 2, 1000]
        return pick(edges) &+ pick(steps)
    }

    /// No member's term: the next one would be a real election.
    private mutating func wrongTerm() -> Term { Term(number(near: term.rawValue)) }

    private mutating func index() -> LogIndex { LogIndex(number(near: last.index.rawValue)) }

    private mutating func position() -> LogPosition {
        LogPosition(index: index(), term: wrongTerm())
    }

    private mutating func identity() -> NodeIdentity {
        let member = pick(members)
        let known = NodeIdentity(id: member.id, incarnation: member.incarnation)
        let stranger = Incarnation(RandomID(high: 9, low: next()))
        return pick([
            known, known, victim, NodeIdentity(id: known.id, incarnation: stranger),
            NodeIdentity(id: NodeID("stranger"), incarnation: stranger),
        ])
    }

    private mutating func address() -> PeerAddress {
        pick([pick(members).address, PeerAddress("x:1"), PeerAddress(""), PeerAddress(":")])
    }

    // MARK: What it says

    /// - Parameter calls: questions of the victim that are open.
    mutating func event(answering calls: [PeerCallID]) -> NodeEvent {
        switch below(10) {
        case 0...3: return .messages((0...below(3)).map { _ in message() })
        case 4: return .peerAsked(question(), request(), caller())
        case 5:
            return .answered(calls.isEmpty ? PeerCallID(next()) : pick(calls), .success(answer()))
        case 6: return .spoke(identity(), at: address())
        case 7: return snapshot()
        case 8: return pick([.unreachable(identity().id), .helloHeard(identity())])
        default:
            let id = RegistryRequestID(owner: pick([.formation, .keeper]), number: next())
            let name = pick(["leader", "nodes/1", "", "x"])
            return .registryAnswered(.read(name), id, RegistryReply(registryAnswer()))
        }
    }

    private mutating func question() -> PeerQuestionID {
        lastID += 1
        return PeerQuestionID(lastID)
    }

    private mutating func caller() -> PeerCaller {
        PeerCaller(identity: identity(), remoteAddress: "test")
    }

    private mutating func message() -> Message {
        let isForeign = below(8) == 0
        return Message(
            cluster: isForeign ? ClusterID(RandomID(high: 7, low: 7)) : cluster,
            from: identity(), to: below(8) == 0 ? NodeID("nobody") : victim.id,
            term: wrongTerm(), body: body())
    }

    private mutating func body() -> Message.Body {
        switch below(6) {
        case 0:
            return .voteRequest(
                .init(
                    isPreVote: below(2) == 0, isTransfer: below(2) == 0, lastLog: position()))
        case 1: return .voteAnswer(.init(isPreVote: below(2) == 0, granted: below(2) == 0))
        case 2:
            // Never one that fits: it would be a leader's.
            let entry = Entry(index: index(), term: wrongTerm(), payload: payload())
            return .appendEntries(
                .init(
                    previous: position(), entries: [entry, entry], commitIndex: index(),
                    round: next()))
        case 3:
            return .appendAnswer(
                .init(
                    result: .mismatched(previous: index(), hint: position()),
                    round: number(near: 1)))
        case 4: return .timeoutNow
        default: return .termIsBehind
        }
    }

    private mutating func payload() -> Payload {
        pick([.noop, .command([]), .command([255, 255, 255]), .membership(Membership())])
    }

    private mutating func request() -> PeerRequest {
        switch below(3) {
        case 0: return .hello
        case 1:
            return .join(
                JoinRequest(
                    identity: identity(), address: address(), apiURL: pick([nil, "", "http://x"]),
                    suffrage: pick([.voter, .learner, .nonvoter]),
                    cluster: pick([nil, cluster, ClusterID(RandomID(high: 7, low: 7))]),
                    intent: pick([.join, .resume]),
                    run: pick([nil, RandomID(high: 1, low: next())])))
        default: return .formation(formation())
        }
    }

    private mutating func formation() -> [UInt8] {
        let ballot = Ballot(counter: number(near: 1), proposer: identity().incarnation)
        switch below(4) {
        case 0: return (0..<below(40)).map { _ in UInt8(truncatingIfNeeded: next()) }
        case 1: return FormationMessage.accepted(ballot, by: identity().incarnation).encoded()
        case 2:
            let other = Ballot(counter: number(near: 1), proposer: identity().incarnation)
            return FormationMessage.outpaced(ballot, by: other).encoded()
        default:
            let list = CandidateList(
                expect: below(4),
                entries: [CandidateList.Entry(address: address(), incarnation: nil)])
            let introduction = Cluster.FormationIntroduction(
                identity: identity(), address: address(), suffrage: .voter, expect: below(4))
            return FormationMessage.prepare(ballot, list, from: introduction).encoded()
        }
    }

    private mutating func hello() -> Hello {
        var who = identity()
        // That another process bears the victim's identity is a verdict.
        if who.id == victim.id { who.id = NodeID("stranger") }
        var hello = Hello(
            identity: who, cluster: pick([nil, cluster]), address: address(), apiURL: nil,
            versions: .init(data: 255, program: "", engine: ""), suffrage: .voter,
            bootstrapExpect: pick([nil, 0, Int(UInt32.max)]),
            leader: pick([nil, LeaderHint(id: who.id, address: address(), apiURL: nil)]),
            term: wrongTerm(), commitIndex: index(), isReady: below(2) == 0,
            run: pick([nil, RandomID(high: 1, low: next())]))
        hello.callerAddress = pick([nil, address()])
        hello.callerAcknowledged = pick([nil, position()])
        return hello
    }

    private mutating func answer() -> PeerAnswer {
        switch below(4) {
        case 0, 1: return .hello(hello())
        case 2: return pick([.unsupported(kind: 255), .failed(""), .formation(formation())])
        default:
            return .joinRefused(
                JoinRefusal(
                    code: pick([.notLeader, .notFormed, .idInUse, .unreachable, .busy, .other]),
                    text: "",
                    leader: pick([nil, LeaderHint(id: victim.id, address: address(), apiURL: "")])))
        }
    }

    private mutating func snapshot() -> NodeEvent {
        lastID += 1
        let id = SnapshotReceiptID(lastID)
        switch below(3) {
        case 0: return .snapshot(.failed(SnapshotReceiptID(next()), cause: ""))
        case 1: return .snapshot(.received(SnapshotReceiptID(next())))
        default:
            let mark = SnapshotMark(
                position: position(), membership: pick([Membership(), Membership(members)]),
                membershipIndex: index())
            return .snapshot(
                .offered(
                    id,
                    SnapshotOffer(
                        cluster: cluster,
                        id: SnapshotID(
                            sender: identity().id, generation: next(), index: index()),
                        mark: mark, byteCount: next(), term: pick([nil, wrongTerm()]))))
        }
    }

    private mutating func registryAnswer() -> RegistryAnswer {
        let bytes = (0..<below(60)).map { _ in UInt8(truncatingIfNeeded: next()) }
        let text = "{\"term\":18446744073709551615,\"cluster\":\"\(cluster)\",\"version\":1e99}"
        let record = StoredRecord(
            name: pick(["leader", "nodes/x", ""]), value: pick([bytes, Array(text.utf8)]),
            revision: Revision(bytes))
        return pick([
            .record(nil), .record(record), .records([record, record]), .conflict,
            .written(Revision([])), .failed(RegistryFailure(.timeout, "")),
        ])
    }
}
