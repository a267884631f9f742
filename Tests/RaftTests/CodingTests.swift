import Raft
import Testing
import Wire

/// Messages and entries on the wire.
@Suite struct CodingTests {
    static let bodies: [Message.Body] = [
        .voteRequest(.init(isPreVote: true, isTransfer: false, lastLog: position(7, 3))),
        .voteRequest(.init(isPreVote: false, isTransfer: true, lastLog: position(0, 0))),
        .voteAnswer(.init(isPreVote: true, granted: true)),
        .voteAnswer(.init(isPreVote: false, granted: false)),
        .appendEntries(
            .init(
                previous: position(4, 2),
                entries: [
                    Entry(5, 2, "text"), Entry(index: index(6), term: Term(3), payload: .noop),
                    Entry(
                        index: index(7), term: Term(3),
                        payload: .membership(
                            Membership([member(1), member(2, .learner), member(3, .nonvoter)]))),
                ], commitIndex: index(4), round: 9)),
        .appendAnswer(.init(result: .matched(through: index(8)), round: 2)),
        .appendAnswer(
            .init(result: .mismatched(previous: index(8), hint: position(5, 2)), round: 3)),
        .timeoutNow,
        .termIsBehind,
    ]

    @Test(arguments: bodies)
    func `A message survives the wire, and every truncation of it is refused`(
        body: Message.Body
    ) throws {
        let message = Message(
            cluster: testCluster, from: identity(1, 4), to: nodeID(2), term: Term(11), body: body)
        var writer = ByteWriter()
        message.encode(into: &writer)
        var reader = ByteReader(writer.bytes)
        #expect(try Message(from: &reader) == message)
        for length in 0..<writer.bytes.count {
            var reader = ByteReader(Array(writer.bytes[..<length]))
            #expect(throws: WireError.self) { try Message(from: &reader) }
        }
    }
}
