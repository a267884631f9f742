import Raft
import Testing
import Wire

@testable import NodeLogic

/// Whether the leader of a new cluster agrees with it on what `-fk` says.
@Suite struct FirstSettingsTests {
    private static let agreed = Payload.command(
        LogCommand.settings(ClusterSettings(foreignKeys: true)).encoded())

    /// What a node with these entries in its log, of a leader before it, agrees on when it leads.
    private func settings(
        after payloads: [Payload], foreignKeys: Bool = true
    ) -> [ClusterSettings] {
        let log = payloads.enumerated().map { place, payload in
            Entry(index: LogIndex(UInt64(place + 1)), term: Term(1), payload: payload)
        }
        let node = LoneNode(log: log, term: Term(1)) { $0.foreignKeys = foreignKeys }
        #expect(node.isReady)
        return node.written.compactMap(\.settings)
    }

    @Test func `The first leader agrees on them`() {
        #expect(settings(after: []).map(\.foreignKeys) == [true])
        #expect(settings(after: [], foreignKeys: false).isEmpty)
    }

    @Test func `So does its successor where it was lost before anybody held them`() {
        #expect(settings(after: [.noop]).map(\.foreignKeys) == [true])
        #expect(settings(after: [.noop, .noop]).map(\.foreignKeys) == [true])
    }

    @Test func `Nobody does once something was written`() {
        #expect(settings(after: [.noop, Self.agreed]).isEmpty)
        #expect(settings(after: [.noop, .noop, Self.agreed, .noop]).isEmpty)
    }
}

extension Entry {
    fileprivate var settings: ClusterSettings? {
        guard case .command(let bytes) = payload,
            case .settings(let settings)? = try? LogCommand(decoding: bytes)
        else { return nil }
        return settings
    }
}
