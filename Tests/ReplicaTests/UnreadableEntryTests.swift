import Raft
import Testing
import Wire

@testable import Replica

/// What arrives from other nodes is read before it is kept.
@Suite struct UnreadableEntryTests {
    private static let command = LogCommand.command(
        Command(
            kind: .execute,
            statements: [Statement("INSERT INTO t VALUES(?)", positional: [.integer(7)])])
    ).encoded()

    private static func message(_ contents: [[UInt8]]) -> Message {
        let entries = contents.enumerated().map { place, bytes in
            Entry(index: LogIndex(UInt64(place + 1)), term: Term(1), payload: .command(bytes))
        }
        return Message(
            cluster: ClusterID(RandomID(high: 0, low: 1)),
            from: NodeIdentity(
                id: NodeID("1"), incarnation: Incarnation(RandomID(high: 0, low: 1))),
            to: NodeID("2"), term: Term(1),
            body: .appendEntries(
                Message.AppendEntries(
                    previous: .zero, entries: entries, commitIndex: .zero, round: 1)))
    }

    @Test func `Entries that can be applied are taken`() {
        let settings = LogCommand.settings(ClusterSettings(foreignKeys: true)).encoded()
        #expect(UnreadableEntry(in: Self.message([])) == nil)
        #expect(UnreadableEntry(in: Self.message([Self.command, settings])) == nil)
    }

    @Test func `An entry that no node could apply is not taken, wherever it stands`() {
        var cases: [[UInt8]] = [[], [0], [255], Self.command + [0]]
        for count in Self.command.indices { cases.append(Array(Self.command[..<count])) }
        for bytes in cases {
            let found = UnreadableEntry(in: Self.message([Self.command, bytes]))
            #expect(found?.index == LogIndex(2), "\(bytes)")
        }
    }
}
