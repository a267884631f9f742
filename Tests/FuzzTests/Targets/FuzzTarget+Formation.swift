import Raft
import Wire

@testable import Cluster

/// What candidates say to each other, and what they keep of it. The first byte of an input says
/// which; of what is kept the checksum is set right.
extension FuzzTarget {
    static let formation = FuzzTarget(name: "formation", largestInput: 4096) {
        bytes throws(Complaint) in
        guard let first = bytes.first else { return }
        var rest = Array(bytes.dropFirst())
        switch first % 3 {
        case 0:
            try RoundTrip.check(whole: rest) { (b) throws(WireError) in
                try FormationMessage(decoding: b)
            } encode: {
                $0.encoded()
            }
        case 1:
            Checksums.mendEnd(&rest)
            try RoundTrip.check(whole: rest) { (b) throws(WireError) in
                try AcceptorState(decoding: b)
            } encode: {
                $0.encoded()
            }
        default:
            try RoundTrip.check(whole: rest) { (b) throws(WireError) in
                try BootstrapValue(decoding: b)
            } encode: {
                $0.encoded()
            }
        }
    } seeds: {
        FormationSamples.messages.enumerated().map {
            FuzzSeed("message-\($0)", [0] + $1.encoded())
        } + [
            FuzzSeed("fresh", [1] + AcceptorState().encoded()),
            FuzzSeed("state", [1] + FormationSamples.state.encoded()),
            FuzzSeed("bootstrap", [2] + Samples.bootstrap.encoded()),
        ]
    }
}

enum FormationSamples {
    static let ballot = Ballot(counter: 3, proposer: Samples.incarnation(1))
    static let plain = list(names: false)
    static let named = list(names: true)
    static let introduction = FormationIntroduction(
        identity: Samples.identity, address: Samples.address(1), suffrage: .voter, expect: 3)
    static let accepted = AcceptorState.Accepted(
        ballot: ballot, value: Samples.bootstrap, list: plain)

    static let messages: [FormationMessage] = [
        .prepare(ballot, plain, from: introduction),
        .prepare(
            ballot,
            CandidateList(expect: 3, entries: named.entries, dropped: [Samples.address(9)]),
            from: introduction),
        .accept(ballot, named, Samples.bootstrap, from: introduction),
        .chosen(Samples.bootstrap), .inquiry,
        .promise(
            .init(
                ballot: ballot, acceptor: introduction, accepted: accepted, lists: [plain, named])),
        .accepted(ballot, by: Samples.incarnation(2)), .outpaced(ballot, by: ballot),
        .formed(Samples.cluster, Samples.bootstrap), .unformed(holdsAcceptance: true),
        .refused(
            ballot,
            .expectDiffers(there: 3, here: 5, id: NodeID("1"), address: Samples.address(1))),
        .refused(ballot, .notDropped(at: NodeID("1"), Samples.address(9))),
    ]

    /// Of an acceptor that has promised and accepted.
    static var state: AcceptorState {
        var state = AcceptorState()
        state.counter = 3
        state.promised = ballot
        state.accepted = accepted
        state.recorded = [.init(ballot: ballot, list: named)]
        state.chosen = Samples.bootstrap
        state.abandoned = [ClusterID(RandomID(high: 3, low: 4))]
        state.dropped = [Samples.address(9)]
        return state
    }

    private static func list(names: Bool) -> CandidateList {
        CandidateList(
            expect: 3,
            entries: [1, 2, 3].map {
                .init(
                    address: Samples.address($0),
                    incarnation: $0 == 3 ? nil : Samples.incarnation($0),
                    name: names ? PeerAddress("h\($0):4002") : nil)
            })
    }
}
