import Raft
import Testing

/// Names that come from operators.
@Suite struct IdentifierTests {
    /// `é` in two forms, and two marks in either order, which take as many bytes.
    private static let twins = [
        ("\u{E9}", "e\u{301}"), ("a\u{323}\u{307}", "a\u{307}\u{323}"), ("K", "\u{212A}"),
    ]

    @Test func `Names and addresses of nodes differ where their bytes differ`() {
        for (a, b) in Self.twins {
            #expect(a == b)
            #expect(NodeID(a) != NodeID(b))
            #expect(NodeID(a) == NodeID(a))
            #expect(Set([NodeID(a), NodeID(b), NodeID(a)]).count == 2)
            #expect((NodeID(a) < NodeID(b)) != (NodeID(b) < NodeID(a)))
            #expect(PeerAddress("\(a):1") != PeerAddress("\(b):1"))
            #expect(Set([PeerAddress(a), PeerAddress(b), PeerAddress(b)]).count == 2)
            #expect((PeerAddress(a) < PeerAddress(b)) != (PeerAddress(b) < PeerAddress(a)))
        }
    }

    @Test func `An ID of random bits is written with all its digits, and is read from them`() {
        let texts = [
            (RandomID(high: 0, low: 0), "00000000000000000000000000000000"),
            (RandomID(high: .max, low: .max), "ffffffffffffffffffffffffffffffff"),
            (RandomID(high: 0x0123_4567_89ab_cdef, low: 1), "0123456789abcdef0000000000000001"),
            (RandomID(high: 0xa << 60, low: 0xf << 60), "a000000000000000f000000000000000"),
        ]
        for (id, text) in texts {
            #expect(id.description == text)
            #expect(RandomID(text) == id)
        }
    }

    @Test func `Names are ordered by their bytes`() {
        let names = ["1", "10", "2", "A", "Z", "a", "z", "\u{E9}", "\u{FF21}", "\u{1F600}"]
        #expect(names.map { NodeID($0) }.sorted().map(\.rawValue) == names)
        #expect(names.map { PeerAddress($0) }.sorted().map(\.rawValue) == names)
    }
}
