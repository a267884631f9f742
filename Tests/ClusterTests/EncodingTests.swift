import Chance
import Cluster
import Raft
import Testing
import Wire

/// The bytes on the wire and on the disk.
@Suite struct EncodingTests {
    private static let accepted = AcceptorState.Accepted(
        ballot: ballot(3, by: 2), value: value(9, [1, 2, 3]), list: list([1, 2, 3, 4]))

    private static let messages: [FormationMessage] = [
        .prepare(ballot(1, by: 1), list([1, 2, 3]), from: node(1)),
        .prepare(
            ballot(1, by: 1),
            CandidateList(
                expect: 3, entries: list([1, 2, 3]).entries, dropped: [address(9), address(3)]),
            from: node(1)),
        .accept(ballot(1, by: 1), list([1, 2]), value(1, [1, 2]), from: node(1, expect: 2)),
        .chosen(value(1, [1])), .inquiry,
        .promise(
            .init(
                ballot: ballot(4, by: 1), acceptor: node(2, suffrage: .nonvoter),
                accepted: accepted, lists: [list([1, 2, 3]), list([2, 3, 4])])),
        .promise(
            .init(ballot: ballot(4, by: 1), acceptor: node(2), accepted: nil, lists: [])),
        .accepted(ballot(2, by: 3), by: incarnation(4)),
        .outpaced(ballot(2, by: 3), by: ballot(5, by: 1)),
        .formed(value(5, [1]).cluster, value(5, [1, 2, 3])), .formed(value(5, [1]).cluster, nil),
        .unformed(holdsAcceptance: true),
        .refused(
            ballot(1, by: 1),
            .expectDiffers(there: 5, here: 3, id: NodeID("4"), address: address(4))),
        .refused(ballot(1, by: 1), .nodeIDTaken(NodeID("1"), address(1), address(2))),
        .refused(ballot(1, by: 1), .tooManyLists),
        .refused(ballot(1, by: 1), .notDropped(at: NodeID("2"), address(2))),
        .refused(
            ballot(1, by: 1), .otherBootstrap(value(1, [1]).cluster, known: value(2, [1]).cluster)),
    ]

    /// A state with every field set, made by the acceptor itself.
    private static func state() -> AcceptorState {
        var machine = Formation(
            FormationSettings(node(2), limit: .none), state: AcceptorState(),
            freshClusterID: RandomID(high: 1, low: 1), seed: 1)
        let requests: [FormationMessage] = [
            .prepare(ballot(1, by: 1), list([1, 2, 3]), from: node(1)),
            .accept(ballot(1, by: 1), list([1, 2, 3]), value(1, [1, 2, 3]), from: node(1)),
            .prepare(ballot(2, by: 3), list([1, 2, 3, 4]), from: node(3)),
            .chosen(value(1, [1, 3])),
        ]
        for (index, request) in requests.enumerated() {
            machine.requested(request, by: FormationRequestID(UInt64(index)))
        }
        var state = machine.state
        state.abandon(value(8, [1]).cluster)
        return state
    }

    @Test(arguments: messages)
    func `A message survives encoding`(message: FormationMessage) throws {
        #expect(try FormationMessage(decoding: message.encoded()) == message)
    }

    @Test(arguments: messages)
    func `Every truncation of a message is refused`(message: FormationMessage) {
        let bytes = message.encoded()
        for length in 0..<bytes.count {
            #expect(throws: WireError.self) {
                try FormationMessage(decoding: Array(bytes[..<length]))
            }
        }
        #expect(throws: WireError.trailingBytes(1)) { try FormationMessage(decoding: bytes + [0]) }
    }

    @Test func `A newer message names both versions`() {
        #expect(throws: WireError.unsupportedVersion(found: 4, supported: 3)) {
            try FormationMessage(decoding: [4, 4])
        }
    }

    @Test func `The acceptor's state survives encoding`() throws {
        let state = Self.state()
        #expect(state.accepted != nil && state.promised != nil && state.chosen != nil)
        #expect(state.lists.count == 2 && state.abandoned.count == 1)
        #expect(try AcceptorState(decoding: state.encoded()) == state)
        #expect(try AcceptorState(decoding: AcceptorState().encoded()) == AcceptorState())
    }

    @Test func `A damaged state is never read as another state`() {
        let bytes = Self.state().encoded()
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 0x10
            #expect(throws: WireError.self) { try AcceptorState(decoding: damaged) }
            #expect(throws: WireError.self) {
                try AcceptorState(decoding: Array(bytes[..<index]))
            }
        }
    }

    @Test func `Random changes of messages end in an error or a message, never in a trap`() {
        var dice = SplitMix64(seed: 1)
        var readable = 0
        for round in 0..<4_000 {
            var bytes = Self.messages[round % Self.messages.count].encoded()
            for _ in 0...dice.below(4) {
                bytes[dice.below(bytes.count)] = UInt8(truncatingIfNeeded: dice.next())
            }
            if let message = try? FormationMessage(decoding: bytes) {
                readable += 1
                #expect((try? FormationMessage(decoding: message.encoded())) == message)
            }
        }
        #expect(readable > 100)
    }

    @Test func `A bootstrap value has one form only`() throws {
        let two = value(1, [2, 1])
        #expect(two.members.map(\.id) == [NodeID("1"), NodeID("2")])
        #expect(try BootstrapValue(decoding: two.encoded()) == two)
        var writer = ByteWriter()
        two.cluster.encode(into: &writer)
        writer.write(Array(two.members.reversed())) { writer, member in
            member.id.encode(into: &writer)
            member.incarnation.encode(into: &writer)
            member.address.encode(into: &writer)
        }
        #expect(throws: WireError.invalid(field: "order of members", value: 2)) {
            try BootstrapValue(decoding: writer.bytes)
        }
    }
}
