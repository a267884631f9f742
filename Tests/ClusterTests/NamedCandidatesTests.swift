import Chance
import Raft
import Testing

@testable import Cluster

/// How a formation counts nodes that were listed by name.
@Suite struct NamedCandidatesTests {
    private let name = PeerAddress("svc:4001")

    private func v6(_ k: Int) -> PeerAddress { PeerAddress("[fd00::\(k)]:4002") }

    private func both(_ nodes: ClosedRange<Int>, _ name: String = "svc:4001") -> [CandidateAddress]
    {
        nodes.flatMap {
            [
                CandidateAddress(address($0), name: PeerAddress(name)),
                CandidateAddress(v6($0), name: PeerAddress(name)),
            ]
        }
    }

    private func refuse(_ addresses: [PeerAddress], _ bench: inout Bench) {
        for address in addresses { bench.machine.unreachable(address, reason: "refused") }
    }

    @Test(arguments: [1, 2, 3])
    func `A name of three nodes needs as many as three addresses do`(expect: Int) {
        let needed = CandidateList.quorum(expect: expect, count: 3)
        for present in 1...3 {
            var bench = Bench(expect: expect)
            bench.machine.candidatesChanged(
                (1...3).map { CandidateAddress(address($0), name: name) })
            bench.meet(Array(1...present), expect: expect)
            refuse((1...3).filter { $0 > present }.map { address($0) }, &bench)
            bench.pass(300)
            #expect(bench.settled().ballots.isEmpty == (present < needed), "\(present)")
        }
    }

    @Test func `A name without an address counts, and nobody answers there`() {
        var bench = Bench(expect: 1)
        bench.machine.candidatesChanged([
            CandidateAddress(address(1)),
            CandidateAddress(unresolved: name, .waiting(since: .zero)),
        ])
        bench.meet([1], expect: 1)
        bench.machine.helloAnswered(facts(node(1, expect: 1)), from: name)
        bench.pass(4_000)
        bench.meet([1], expect: 1)
        let effects = bench.all()
        #expect(!effects.hellos.contains(name))
        #expect(effects.sent.isEmpty)
        #expect(
            bench.machine.waitingFor.hasPrefix(
                "needs 2 of the 2 listed, 1 seen: 1; waiting for DNS: svc:4001, 4 s; start 1 more"))
        bench.machine.candidatesChanged([CandidateAddress(address(1), name: name)])
        bench.meet([1], expect: 1)
        #expect(bench.settled().ballots.count == 1)
    }

    @Test func `A long wait for DNS is told in ever longer steps`() {
        var bench = Bench()
        bench.machine.candidatesChanged([CandidateAddress(unresolved: name, .waiting(since: .zero))]
        )
        var texts: [String] = []
        for _ in 0..<1_000 {
            bench.pass(100)
            texts += bench.all().texts
        }
        #expect(texts.count == 8, "\(texts)")
        #expect(
            texts.last?.hasPrefix("needs 3 addresses, 1 listed; waiting for DNS: svc:4001, 64 s; ")
                ?? false)
    }

    @Test func `Where names stand for several nodes each, one that is not known yet is waited for`()
    {
        let gaps: [CandidateAddress.Gap] = [
            .waiting(since: .zero), .failed("servers are silent", since: .zero), .unknown,
        ]
        for gap in gaps {
            var bench = Bench()
            bench.machine.candidatesChanged(
                (1...3).map { CandidateAddress(address($0), name: name) } + [
                    CandidateAddress(unresolved: PeerAddress("other:4001"), gap)
                ])
            bench.meet([1, 2, 3])
            bench.pass(300)
            #expect(bench.settled().ballots.isEmpty == (gap != .unknown), "\(gap)")
        }
    }

    @Test func `A name that can't be looked up hinders no addresses and no names of one node each`()
    {
        var bench = Bench()
        bench.machine.candidatesChanged(
            (1...3).map { CandidateAddress(address($0), name: PeerAddress("n\($0):4002")) } + [
                CandidateAddress(unresolved: name, .failed("servers are silent", since: .zero))
            ])
        bench.meet([1, 2, 3])
        bench.pass(300)
        #expect(bench.settled().ballots.count == 3)
    }

    @Test func `A plain join that finds no name gives up after its attempts`() {
        var bench = Bench(expect: 0, limit: .attempts(3, interval: .seconds(1)))
        bench.machine.candidatesChanged([CandidateAddress(unresolved: name, .unknown)])
        for _ in 0..<40 { bench.pass(100) }
        let last = bench.effects().last
        guard case .gaveUp(let text) = last else {
            Issue.record("\(String(describing: last))")
            return
        }
        #expect(text.contains("svc:4001: DNS knows no such name"), "\(text)")
    }

    // MARK: Two families

    @Test(arguments: ["both", "IPv4", "IPv6", "mixed"])
    func `A name with both families of three nodes forms with three, whichever they listen on`(
        family: String
    ) {
        var bench = Bench()
        bench.machine.candidatesChanged(both(1...3))
        for k in 1...3 {
            let hasV4 = family == "both" || family == "IPv4" || family == "mixed" && k == 1
            let hasV6 = family == "both" || family == "IPv6" || family == "mixed" && k != 1
            for (place, isThere) in [(address(k), hasV4), (v6(k), hasV6)] {
                if isThere {
                    bench.machine.helloAnswered(facts(node(k)), from: place)
                } else {
                    bench.machine.unreachable(place, reason: "refused")
                }
            }
        }
        bench.pass(300)
        #expect(Set(bench.settled().ballots).count == 1)
    }

    @Test func `An address of the other family without any answer is not waited for`() {
        var bench = Bench()
        bench.machine.candidatesChanged(both(1...3))
        for k in 1...3 { bench.machine.helloAnswered(facts(node(k)), from: v6(k)) }
        bench.pass(200)
        #expect(Set(bench.settled().ballots).count == 1)
    }

    @Test func `Addresses that were listed as such are no second ones of each other`() {
        var bench = Bench()
        bench.machine.candidatesChanged(
            (1...3).flatMap { [CandidateAddress(address($0)), CandidateAddress(v6($0))] })
        for k in 1...3 {
            bench.meet([k])
            bench.machine.unreachable(v6(k), reason: "refused")
        }
        bench.pass(300)
        #expect(bench.settled().ballots.isEmpty)
        #expect(bench.machine.waitingFor.hasPrefix("needs 4 of the 6 listed, 3 seen"))
    }

    /// All nodes have IPv4, some of them IPv6 too; any of their addresses may be silent. However few
    /// or many are counted, two quorums have a node in common.
    @Test func `Quorums meet over every way in which addresses of two families can be silent`() {
        for seed in UInt64(1)...3_000 {
            var dice = SplitMix64(seed: seed)
            let count = 2 + dice.below(6)
            let expect = 1 + dice.below(count)
            let withV6 = (1...count).filter { _ in dice.chance(60, of: 100) }
            let list = CandidateList(
                expect: expect,
                entries: (1...count).map {
                    .init(address: address($0), incarnation: nil, name: name)
                }
                    + withV6.map { .init(address: v6($0), incarnation: nil, name: name) })
            func needed() -> Int {
                var attendance = Attendance()
                for k in 1...count {
                    if dice.chance(50, of: 100) { attendance.seat(incarnation(k), at: address(k)) }
                    if withV6.contains(k), dice.chance(50, of: 100) {
                        attendance.seat(incarnation(k), at: v6(k))
                    }
                }
                return list.tally(attendance).needed
            }
            let (one, other) = (needed(), needed())
            #expect(one + other > count, "seed \(seed): \(one), \(other) of \(count)")
            #expect(one + expect > count, "seed \(seed): \(one), \(expect) of \(count)")
        }
    }

    @Test func `A list with names survives encoding, and one without is as it always was`() throws {
        let named = CandidateList(
            expect: 3,
            entries: both(1...3).map {
                .init(address: $0.address, incarnation: incarnation(1), name: $0.name)
            })
        let prepare = FormationMessage.prepare(ballot(1, by: 1), named, from: node(1))
        #expect(prepare.encoded().first == 2)
        #expect(try FormationMessage(decoding: prepare.encoded()) == prepare)
        #expect(FormationMessage.inquiry.encoded() == [1, 4])
        var bench = Bench(2)
        bench.ask(prepare)
        let state = bench.machine.state
        #expect(state.encoded().first == 2)
        #expect(try AcceptorState(decoding: state.encoded()) == state)
        #expect(state.lists.first?.entries.first?.name == name)
        #expect(AcceptorState().encoded().first == 1)
        let promise = FormationMessage.promise(
            .init(ballot: ballot(2, by: 1), acceptor: node(2), accepted: nil, lists: [named]))
        #expect(try FormationMessage(decoding: promise.encoded()) == promise)
    }
}
