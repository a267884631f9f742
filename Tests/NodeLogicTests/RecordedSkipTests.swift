import Raft
import Testing
import Wire

@testable import NodeLogic

/// What a recovered cluster's leader writes into the log of the entries that an operator left out.
@Suite struct RecordedSkipTests {
    private static let epoch: UInt64 = 1 << 32

    /// - Parameter terms: of the entries in the log of a node alone, which was recovered.
    /// - Returns: the skips that it records as leader, and whether it said that one is nothing.
    private func recorded(
        _ skips: [EntrySkip], _ terms: [UInt64], term: UInt64
    ) -> (skips: [EntrySkip], complaints: Int) {
        let log = terms.enumerated().map { place, term in
            Entry(index: LogIndex(UInt64(place + 1)), term: Term(term), payload: .noop)
        }
        let node = LoneNode(log: log, term: Term(term), skips: skips)
        #expect(node.isReady)
        let complaints = node.notes.count { $0.text.hasPrefix("skip.json") }
        return (node.written.compactMap(\.skip), complaints)
    }

    @Test func `Only what stood in the log before the recovery is recorded`() {
        let named = [1, 3, 4, 5, 70, .max].map { EntrySkip(index: $0, hash: 7) }
        let (skips, complaints) = recorded(named, [1, 1, 2], term: Self.epoch)
        #expect(skips.map(\.index) == [1, 3])
        #expect(complaints == 4)
    }

    @Test func `What the log came to hold since is not taken for what was left out`() {
        let named = [2, 3, 4].map { EntrySkip(index: $0, hash: 7) }
        // The recovered cluster had a leader before.
        let (skips, complaints) = recorded(
            named, [1, 1, Self.epoch + 1, Self.epoch + 1], term: Self.epoch + 1)
        #expect(skips.map(\.index) == [2])
        #expect(complaints == 2)
    }
}

extension Entry {
    fileprivate var skip: EntrySkip? {
        guard case .command(let bytes) = payload,
            case .skip(let skip)? = try? LogCommand(decoding: bytes)
        else { return nil }
        return skip
    }
}
