import Raft
import Testing

@testable import Cluster

/// What names in a list of candidates amount to.
@Suite struct CandidateNamesTests {
    private func names(_ list: String...) -> CandidateNames {
        var names = CandidateNames()
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
        expect(&names, due: [], at: .milliseconds(61_900))
        expect(&names, due: ["svc"], at: .seconds(62))
        #expect(texts(names) == ["10.0.0.1:4001", "10.0.0.1:4002"])
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
        var names = CandidateNames()
        names.replace(by: (0..<1_000).map { CandidateAddress(PeerAddress("n\($0):1")) }, now: .zero)
        let due = names.due(.zero)
        #expect(due.count <= FormationLimits.addresses)
        _ = names.answered(
            "n1", .addresses((0..<1_000).map { "10.0.\($0 / 250).\($0 % 250)" }), now: .zero)
        #expect(names.candidates(from: .zero).count <= 2 * FormationLimits.addresses)
    }
}
