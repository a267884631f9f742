import Raft
import Testing
import Wire

@testable import Archive

struct ArchiveChainTests {
    static func hash(_ digit: String) -> String { String(repeating: digit, count: 64) }

    static let base = BaseName(
        position: LogPosition(index: LogIndex(10), term: Term(1)), milliseconds: 1000,
        hash: hash("0"))

    static func piece(
        _ first: UInt64, _ last: UInt64, behind before: String, _ own: String,
        milliseconds: Int64 = 2000
    ) -> PieceName {
        PieceName(
            first: LogIndex(first), last: LogIndex(last), milliseconds: milliseconds,
            predecessor: hash(before), hash: hash(own))
    }

    private func chain(_ pieces: [PieceName]) -> ArchiveChain {
        ArchiveChain(base: Self.base, names: (["base"] + pieces.map(\.text)).reversed())
    }

    @Test func `Names say all that was put into them`() {
        var piece = Self.piece(11, 12, behind: "0", "a")
        #expect(PieceName(piece.text) == piece)
        piece.hasDecisions = true
        #expect(PieceName(piece.text) == piece)
        #expect(
            BaseName(Self.base.text) == Self.base && BaseName(Self.base.text + "/") == Self.base)
        for text in ["base", "", "1-2-3-4", piece.text + "-d", piece.text.uppercased() + "x"] {
            #expect(PieceName(text) == nil && BaseName(text) == nil, "\(text)")
        }
    }

    @Test func `A spoilt header is another or none, and a later one is refused by its number`()
        throws
    {
        let header = ArchiveHeader(
            kind: .piece, cluster: Self.cluster, predecessor: Self.hash("a"), term: Term(3),
            first: LogIndex(11), last: LogPosition(index: LogIndex(12), term: Term(2)),
            times: (first: 1000, last: 2000))
        let bytes = header.encoded()
        #expect(try ArchiveHeader(decoding: bytes) == header)
        for place in bytes.indices {
            #expect(throws: WireError.self) { try ArchiveHeader(decoding: Array(bytes[..<place])) }
            // Two bytes say nothing yet.
            guard !(6..<8).contains(place) else { continue }
            var spoilt = bytes
            spoilt[place] ^= 1 << UInt8(place % 8)
            #expect((try? ArchiveHeader(decoding: spoilt)) != header, "byte \(place)")
        }
        var later = bytes
        later[4] = 2
        #expect(throws: WireError.unsupportedVersion(found: 2, supported: 1)) {
            try ArchiveHeader(decoding: later)
        }
    }

    @Test func `Pieces follow the base each behind the one that it names`() {
        let pieces = [
            Self.piece(11, 12, behind: "0", "a"), Self.piece(13, 20, behind: "a", "b"),
            Self.piece(21, 21, behind: "b", "c", milliseconds: 3000),
        ]
        let found = chain(pieces)
        #expect(found.pieces == pieces && found.gap == nil)
        #expect(found.end == LogIndex(21) && found.endHash == Self.hash("c"))
        #expect(found.endMilliseconds == 3000)
        #expect(chain([]).end == LogIndex(10) && chain([]).endHash == Self.hash("0"))
    }

    @Test func `Of pieces of two leaders side by side the way that leads farthest counts`() {
        let (a, b) = (Self.piece(11, 14, behind: "0", "a"), Self.piece(11, 19, behind: "0", "b"))
        let c = Self.piece(15, 30, behind: "a", "c")
        #expect(chain([a, b, c]).pieces == [a, c])
        #expect(chain([a, b]).pieces == [b])
        // What the other one put behind its own is behind nobody else's.
        let d = Self.piece(20, 40, behind: "b", "d")
        #expect(chain([a, b, c, d]).pieces == [b, d])
    }

    @Test func `A piece that is missing, or another than the next one names, is a gap`() {
        let a = Self.piece(11, 12, behind: "0", "a")
        let c = Self.piece(15, 20, behind: "b", "c")
        let missing = chain([a, c])
        #expect(missing.pieces == [a])
        #expect(missing.gap?.contains("entries 13 to 14 are missing") == true)
        let other = chain([a, Self.piece(13, 14, behind: "e", "b")])
        #expect(other.pieces == [a] && other.gap?.contains("follows another object") == true)
        // What was passed by is none.
        #expect(chain([Self.piece(11, 12, behind: "e", "b"), a]).gap == nil)
    }

    @Test func `Names that go round in a circle end`() {
        let a = Self.piece(11, 12, behind: "0", "a")
        let b = Self.piece(13, 14, behind: "a", "a")
        #expect(chain([a, b]).pieces == [a, b])
        #expect(chain([a, b, Self.piece(15, 16, behind: "a", "0")]).pieces == [a, b])
    }

    // MARK: Plans

    private static let cluster = ClusterID(RandomID(high: 1, low: 2))

    private func plan(
        _ target: ArchiveTarget, next: BaseName? = nil, _ pieces: [PieceName]
    ) throws -> ArchivePlan {
        try ArchivePlan(cluster: Self.cluster, chain: chain(pieces), next: next, target: target)
    }

    private func refusal(
        _ target: ArchiveTarget, next: BaseName? = nil, _ pieces: [PieceName]
    ) -> String {
        do {
            _ = try plan(target, next: next, pieces)
            return "none"
        } catch {
            return "\(error)"
        }
    }

    @Test func `A plan takes the pieces until the target and no more`() throws {
        let a = Self.piece(11, 12, behind: "0", "a", milliseconds: 2000)
        var b = Self.piece(13, 20, behind: "a", "b", milliseconds: 3000)
        let c = Self.piece(21, 30, behind: "b", "c", milliseconds: 4000)
        let all = [a, b, c]
        #expect(try plan(.newest, all).pieces == all)
        #expect(try plan(.index(LogIndex(10)), all).pieces == [])
        #expect(try plan(.index(LogIndex(12)), all).pieces == [a])
        #expect(try plan(.index(LogIndex(13)), all).pieces == [a, b])
        #expect(try plan(.time(1999), all).pieces == [a])
        #expect(try plan(.time(2000), all).pieces == [a, b])
        #expect(try plan(.time(4000), all).pieces == all)
        b.hasDecisions = true
        #expect(try plan(.index(LogIndex(12)), [a, b, c]).decisions == [b])
    }

    @Test func `What is missing is said by index and time`() {
        let a = Self.piece(11, 12, behind: "0", "a", milliseconds: 2000)
        let c = Self.piece(15, 20, behind: "b", "c", milliseconds: 3000)
        #expect(refusal(.index(LogIndex(13)), [a]).contains("ends at index 12"))
        #expect(refusal(.index(LogIndex(16)), [a, c]).contains("entries 13 to 14 are missing"))
        #expect(refusal(.newest, [a, c]).contains("--at 12 restores it"))
        #expect(refusal(.time(2001), [a]).contains("1970-01-01T00:00:02Z"))
        let next = BaseName(
            position: LogPosition(index: LogIndex(40), term: Term(1)), milliseconds: 5000,
            hash: Self.hash("f"))
        #expect(refusal(.time(4000), next: next, [a]).contains("next base is of index 40"))
        let near = BaseName(
            position: LogPosition(index: LogIndex(12), term: Term(1)), milliseconds: 5000,
            hash: Self.hash("f"))
        #expect(refusal(.time(4000), next: near, [a]) == "none")
    }
}
