import PeerProtocol
import Raft
import Testing
import Time

@testable import NodeLogic

/// What a node asks before it takes part, and what it believes.
@Suite struct IdentityWatchTests {
    private static func watch(at address: String = "n1:4002") -> IdentityWatch {
        let settings = MachineSettings(
            explicitID: nil, fallbackID: NodeID("1"), address: PeerAddress(address), apiURL: "",
            dataDirectory: "", version: "test")
        let identity = NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(1))
        let options = NodeOptions(identity: identity, engine: "e", settings: settings)
        return IdentityWatch(options, run: RandomID(high: 0, low: 1))
    }

    private static func hello(
        _ id: String, run: UInt64 = 9, callerAt address: String? = nil
    ) -> PeerResult {
        .success(
            .hello(
                Hello(
                    identity: NodeIdentity(id: NodeID(id), incarnation: Samples.incarnation(1)),
                    cluster: nil, address: PeerAddress("n\(id):4002"), apiURL: nil,
                    versions: Hello.Versions(data: 1, program: "test", engine: "e"),
                    suffrage: .voter, bootstrapExpect: nil, leader: nil, term: .zero,
                    commitIndex: .zero, isReady: false, run: RandomID(high: 0, low: run),
                    callerAddress: address.map { PeerAddress($0) })))
    }

    @Test func `Another process behind the node's own address ends it, and it itself doesn't`() {
        for (run, verdict) in [
            (UInt64(1), IdentityWatch.Verdict.open), (2, .doubled(at: PeerAddress("n1:4002"))),
        ] {
            var watch = Self.watch()
            let places = watch.questions(Samples.voters("1", "2"))
            #expect(places == [PeerAddress("n1:4002"), PeerAddress("n2:4002")])
            for (number, place) in places.enumerated() {
                watch.asking(PeerCallID(UInt64(number)), at: place)
            }
            #expect(watch.answered(PeerCallID(0), Self.hello("1", run: run)).verdict == verdict)
        }
    }

    @Test func `A node that is its cluster alone asks nobody, unless it has moved`() {
        var watch = Self.watch()
        #expect(watch.questions(Samples.voters("1")).isEmpty)
        var moved = Self.watch(at: "m1:4002")
        #expect(
            moved.questions(Samples.voters("1")) == [
                PeerAddress("m1:4002"), PeerAddress("n1:4002"),
            ])
    }

    @Test func `Who comes to a cluster asks where that knows it, if elsewhere, and each time`() {
        let members = Samples.voters("1", "2")
        #expect(Self.watch().formerPlace(in: members) == nil)
        #expect(Self.watch().formerPlace(in: Membership()) == nil)
        var watch = Self.watch(at: "m1:4002")
        for number in 0..<2 as Range<UInt64> {
            let place = watch.formerPlace(in: members)
            #expect(place == PeerAddress("n1:4002"))
            watch.asking(PeerCallID(number), at: PeerAddress("n1:4002"))
            let verdict = watch.answered(PeerCallID(number), Self.hello("1")).verdict
            #expect(verdict == .doubled(at: PeerAddress("n1:4002")))
        }
    }

    @Test func `Whoever names ever new places does not hold up the start for ever`() {
        for liar in ["2", "8"] {
            var watch = Self.watch()
            var waiting = watch.questions(Samples.voters("1", "2", "3"))
            var asked = 0
            var isAlone = false
            while let place = waiting.first, asked < 100 {
                waiting.removeFirst()
                asked += 1
                let call = PeerCallID(UInt64(asked))
                watch.asking(call, at: place)
                let (verdict, next) = watch.answered(
                    call, Self.hello(liar, callerAt: "trap\(asked):4002"))
                waiting += next
                if verdict == .alone, waiting.isEmpty { isAlone = true }
            }
            #expect(isAlone)
            #expect(asked <= 4)
        }
    }

    @Test func `Each member's word on where the identity is leads there`() {
        var watch = Self.watch()
        for (number, place) in watch.questions(Samples.voters("1", "2", "3")).enumerated() {
            watch.asking(PeerCallID(UInt64(number)), at: place)
        }
        #expect(
            watch.answered(PeerCallID(1), Self.hello("2", callerAt: "m1:4002")).next
                == [PeerAddress("m1:4002")])
        #expect(
            watch.answered(PeerCallID(2), Self.hello("3", callerAt: "o1:4002")).next
                == [PeerAddress("o1:4002")])
    }

    @Test func `Strangers make room for each other, and members keep their places`() {
        var watch = Self.watch()
        let members = Samples.voters("1", "2")
        func hear(_ id: String) {
            let node = NodeIdentity(id: NodeID(id), incarnation: Samples.incarnation(1))
            watch.forgetStrangers(besides: members)
            _ = watch.heard(
                node, at: PeerAddress("n\(id):4002"), member: members[node.id], call: PeerCallID(1))
        }
        hear("2")
        for number in 0..<3 * IdentityWatch.mostPlaces { hear("x\(number)") }
        #expect(watch.places.count <= IdentityWatch.mostPlaces + members.members.count + 1)
        #expect(watch.places[NodeID("2")] != nil)
        #expect(watch.places[NodeID("x\(3 * IdentityWatch.mostPlaces - 1)")] != nil)
    }

    @Test func `A leader is asked until it has answered, and at once where it is newly heard`() {
        var watch = Self.watch()
        let leader = NodeID("2")
        let old = PeerAddress("n2:4002")
        let new = PeerAddress("m2:4002")
        let start = MonotonicTime(nanoseconds: 0)
        // It has not begun.
        #expect(watch.mustAsk(leader, at: [old], now: start) == false)
        _ = watch.questions(Samples.voters("1", "2"))
        let soon = start + .milliseconds(100)
        let asks: [(at: [PeerAddress], now: MonotonicTime, isDue: Bool)] = [
            ([], start, false),
            ([old], start, true),
            ([old], soon, false),
            ([new, old], soon, true),
            ([new, old], soon + .milliseconds(900), false),
            ([new, old], soon + IdentityWatch.patience, true),
        ]
        for (places, now, isDue) in asks {
            let mustAsk = watch.mustAsk(leader, at: places, now: now)
            #expect(mustAsk == isDue)
        }
        watch.leaderTestified()
        #expect(watch.mustAsk(leader, at: [new], now: soon + .seconds(60)) == false)
    }

    @Test func `Who has moved is where it spoke from last, before its former place has answered`() {
        var watch = Self.watch()
        let members = Samples.voters("1", "2")
        guard let member = members[NodeID("2")] else {
            Issue.record("no member 2")
            return
        }
        let other = NodeIdentity(member: member)
        #expect(watch.place(of: other) == nil)
        for (number, place) in ["m2:4002", "o2:4002"].map({ PeerAddress($0) }).enumerated() {
            let call = PeerCallID(UInt64(number))
            #expect(watch.heard(other, at: place, member: member, call: call) == member.address)
            #expect(watch.place(of: other) == place)
        }
        let failure = PeerResult.failure(PeerFailure(cause: "refused"))
        #expect(watch.reviewed(PeerCallID(1), failure)?.alive == nil)
        #expect(watch.reviewed(PeerCallID(0), failure)?.alive == nil)
        #expect(
            watch.place(
                of: NodeIdentity(id: other.id, incarnation: .init(RandomID(high: 9, low: 9))))
                == nil)
    }

    /// Each question takes a connection, to wherever it was said.
    @Test func `However often others say that they are elsewhere, few questions are open`() {
        var watch = Self.watch()
        let member = Samples.member("2")
        let other = NodeIdentity(member: member)
        var asked = 0
        for number in 0..<100 as Range<UInt64> {
            let place = PeerAddress("m\(number):4002")
            let former = watch.heard(other, at: place, member: member, call: PeerCallID(number))
            if former != nil { asked += 1 }
            #expect(watch.place(of: other) == place)
        }
        #expect(asked == 4)
        // Its former place answers: it is the last one that is refused.
        let found = watch.reviewed(PeerCallID(3), Self.hello("2"))
        #expect(found?.at == PeerAddress("m99:4002"))
        for number in 100..<300 as Range<UInt64> {
            let stranger = NodeIdentity(
                id: NodeID("s\(number)"), incarnation: Samples.incarnation(1))
            for place in ["a:1", "b:1"] {
                let former = watch.heard(
                    stranger, at: PeerAddress(place), member: nil, call: PeerCallID(number))
                if former != nil { asked += 1 }
            }
        }
        #expect(asked < 4 + 65)
    }
}
