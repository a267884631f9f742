import Chance
import Raft
import Testing

@testable import Cluster

/// What names in a list of candidates amount to.
@Suite struct CandidateNamesTests {
    private static func chance(_ seed: UInt64) -> Xoshiro256 { Xoshiro256((seed, 2, 3, 4)) }

    private func names(_ list: String...) -> CandidateNames {
        var names = CandidateNames(chance: Self.chance(1))
        names.replace(by: list.map { CandidateAddress(PeerAddress($0)) }, now: .zero)
        return names
    }

    private func expect(
        _ names: inout CandidateNames, due: [String], at now: Duration,
        _ location: SourceLocation = #_sourceLocation
    ) {
        let found = names.due(now)
        #expect(found == due, sourceLocation: location)
    }

    private func texts(_ names: CandidateNames) -> [String] {
        names.candidates(from: .zero).filter { $0.gap == nil }.map(\.address.rawValue)
    }

    @Test func `A name counts once per address it leads to, and an address as itself`() {
        var names = names("svc:4001", "10.0.0.9:4002", "[fd00::9]:4002")
        expect(&names, due: ["svc"], at: .zero)
        #expect(names.candidates(from: .zero).first?.gap == .waiting(since: .zero))
        let isNews = names.answered(
            "svc", .addresses(["10.0.0.2", "10.0.0.1", "fd00::1"]), now: .seconds(4))
        #expect(isNews)
        #expect(
            texts(names) == [
                "10.0.0.1:4001", "10.0.0.2:4001", "[fd00::1]:4001", "10.0.0.9:4002",
                "[fd00::9]:4002",
            ])
    }

    @Test
    func
        `One lookup of a name is under way, however long it takes and however often the list comes`()
    {
        var names = names("svc:4001", "svc:4002")
        expect(&names, due: ["svc"], at: .zero)
        for second in 1...60 {
            names.replace(
                by: ["svc:4001", "svc:4002"].map { CandidateAddress(PeerAddress($0)) },
                now: .seconds(second))
            expect(&names, due: [], at: .seconds(second))
        }
        _ = names.answered("svc", .addresses(["10.0.0.1"]), now: .seconds(61))
        expect(&names, due: [], at: .milliseconds(61_799))
        expect(&names, due: ["svc"], at: .milliseconds(62_200))
        #expect(texts(names) == ["10.0.0.1:4001", "10.0.0.1:4002"])
    }

    @Test func `Nodes that ask for a name in step do not go on in step`() {
        var pauses: [[Int]] = []
        for seed: UInt64 in 1...2 {
            var names = CandidateNames(chance: Self.chance(seed))
            names.replace(by: [CandidateAddress(PeerAddress("svc:4001"))], now: .zero)
            expect(&names, due: ["svc"], at: .zero)
            var asked = 0
            var own: [Int] = []
            for _ in 0..<10 {
                _ = names.answered("svc", .unknown, now: .milliseconds(asked))
                let pause = (0...1200).first { !names.due(.milliseconds(asked + $0)).isEmpty } ?? 0
                #expect(pause >= 800)
                own.append(pause)
                asked += pause
            }
            pauses.append(own)
        }
        #expect(pauses[0] != pauses[1])
    }

    @Test func `What a name led to last stays until other addresses come`() {
        var names = names("svc:4001")
        _ = names.due(.zero)
        _ = names.answered("svc", .addresses(["10.0.0.1", "10.0.0.2"]), now: .zero)
        let answers: [CandidateNames.Answer] = [
            .failed("servers are silent"), .unknown, .addresses([]),
        ]
        for answer in answers {
            let isNews = names.answered("svc", answer, now: .seconds(1))
            #expect(!isNews)
        }
        #expect(texts(names) == ["10.0.0.1:4001", "10.0.0.2:4001"])
        _ = names.answered("svc", .addresses(["10.0.0.3"]), now: .seconds(3))
        #expect(texts(names) == ["10.0.0.3:4001"])
    }

    @Test func `A name without addresses says why, and since when`() {
        var names = names("svc:4001")
        expect(&names, due: ["svc"], at: .seconds(5))
        #expect(names.candidates(from: .seconds(2)).first?.gap == .waiting(since: .seconds(3)))
        _ = names.answered("svc", .failed("try again"), now: .seconds(9))
        #expect(
            names.candidates(from: .seconds(2)).first?.gap
                == .failed("try again", since: .seconds(3)))
        _ = names.answered("svc", .unknown, now: .seconds(10))
        #expect(names.candidates(from: .seconds(2)).first?.gap == .unknown)
    }

    @Test(arguments: [
        ("svc:4001", "svc"), ("a.b:1", "a.b"), ("1.2.3.4.5:1", "1.2.3.4.5"),
        ("1.2.3.999:1", "1.2.3.999"),
        ("10.0.0.1:4002", nil), ("[::1]:4002", nil), ("::1:4002", nil), (":4002", nil),
        ("svc", nil),
    ])
    func `Names are told from addresses`(text: String, name: String?) {
        #expect(PeerAddress(text).nameAndPort?.name == name)
    }

    @Test func `No list of names grows without bound`() {
        var names = CandidateNames(chance: Self.chance(1))
        names.replace(by: (0..<1_000).map { CandidateAddress(PeerAddress("n\($0):1")) }, now: .zero)
        let due = names.due(.zero)
        #expect(due.count <= FormationLimits.addresses)
        _ = names.answered(
            "n1", .addresses((0..<1_000).map { "10.0.\($0 / 250).\($0 % 250)" }), now: .zero)
        #expect(names.candidates(from: .zero).count <= 2 * FormationLimits.addresses)
    }

    // MARK: Names that lead to this machine by loopback

    @Test(arguments: ["127.0.1.1", "127.0.0.1", "::1"])
    func `A name that leads to loopback is this node at the address it advertises`(
        found: String
    ) throws {
        let own = try #require(
            OwnPlace(PeerAddress("10.0.0.1:4002"), apiURL: "https://node1.test:4001"))
        var names = CandidateNames(own: own, chance: Self.chance(1))
        names.replace(
            by: ["node1:4001", "node1:4002", "node1:5000", "localhost:4002", "127.0.0.1:4002"]
                .map { CandidateAddress(PeerAddress($0)) }, now: .zero)
        expect(&names, due: ["localhost", "node1"], at: .zero)
        _ = names.answered("node1", .addresses([found, "10.0.0.1"]), now: .zero)
        _ = names.answered("localhost", .addresses([found]), now: .zero)
        let loopback = found.contains(":") ? "[\(found)]" : found
        #expect(
            Set(texts(names)) == [
                "10.0.0.1:4001", "10.0.0.1:4002", "\(loopback):5000", "10.0.0.1:5000",
                "\(loopback):4002", "127.0.0.1:4002",
            ])
    }

    @Test(arguments: ["127.0.0.1:4002", "[::1]:4002", "node1:4002"])
    func `On one machine, or behind a name, loopback is what it is`(advertised: String) {
        #expect(OwnPlace(PeerAddress(advertised), apiURL: "http://127.0.0.1:4001") == nil)
    }

    // MARK: Servers that tell a part

    private func listed(_ last: Int...) -> [CandidateAddress] {
        last.map { CandidateAddress(PeerAddress("10.0.0.\($0):4002")) }
    }

    @Test func `A list that is too short is completed by what it had a moment ago`() {
        var recent = RecentCandidates()
        func complete(_ list: [CandidateAddress], _ second: Int) -> [CandidateAddress] {
            recent.complete(list, expect: 3, now: .seconds(second))
        }
        #expect(complete(listed(1, 2), 0) == listed(1, 2))
        #expect(complete(listed(2, 3), 60) == listed(2, 3, 1))
        #expect(complete(listed(3, 1), 61) == listed(3, 1, 2))
        #expect(complete(listed(3), 72) == listed(3, 1))
        #expect(complete(listed(3), 83) == listed(3))
    }

    @Test func `A list that is long enough stands as it is`() {
        var recent = RecentCandidates()
        _ = recent.complete(listed(1, 2, 3), expect: 3, now: .zero)
        #expect(recent.complete(listed(4, 5, 6), expect: 3, now: .seconds(1)) == listed(4, 5, 6))
    }
}
