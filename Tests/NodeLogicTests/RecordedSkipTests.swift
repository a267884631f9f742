import Chance
import Raft
import Replication
import Testing
import Time
import Wire

@testable import NodeLogic

/// What a recovered cluster's leader writes into the log of the entries that an operator left out.
@Suite struct RecordedSkipTests {
    private static let cluster = ClusterID(RandomID(high: 7, low: 7))
    private static let epoch: UInt64 = 1 << 32

    /// A node alone, recovered with three entries in its log.
    private func restored(_ terms: [UInt64], term: UInt64) -> RestoredState {
        var runs: [LogPosition] = []
        var entries: [Entry] = []
        for (place, term) in terms.enumerated() {
            let position = LogPosition(index: LogIndex(UInt64(place + 1)), term: Term(term))
            if runs.last?.term != position.term { runs.append(position) }
            entries.append(
                Entry(index: position.index, term: position.term, payload: .noop))
        }
        let members = Samples.voters("1")
        return RestoredState(
            hardState: HardState(term: Term(term)), base: .zero, termRuns: runs,
            lastIndex: LogIndex(UInt64(terms.count)), tail: entries, membership: members,
            membershipIndex: .zero, appliedMembership: members, appliedMembershipIndex: .zero,
            commitIndex: .zero, appliedIndex: .zero)
    }

    private func options() -> NodeOptions {
        let settings = MachineSettings(
            explicitID: nil, fallbackID: NodeID("1"), address: PeerAddress("n1:4002"), apiURL: "",
            dataDirectory: "", version: "")
        return NodeOptions(
            identity: NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(1)),
            engine: "", settings: settings)
    }

    /// - Returns: the skips that it records as leader, and whether it said that one is nothing.
    private func recorded(
        _ skips: [EntrySkip], _ restored: RestoredState
    ) -> (skips: [EntrySkip], complaints: Int) {
        var now = MonotonicTime(nanoseconds: 1_000_000_000)
        var machine = NodeMachine(options(), chance: Xoshiro256((1, 2, 3, 5)), now: now)
        machine.begin(
            NodeMachine.Beginning(
                restored: restored, cluster: Self.cluster, isEstablished: true,
                formation: StoredFormation(), hasRegistry: false, skips: skips))
        var found: [EntrySkip] = []
        var complaints = 0
        var events: [NodeEvent] = []
        for _ in 0..<2000 {
            for effect in machine.takeEffects() {
                switch effect {
                case .log(.write(let write)):
                    found += write.entries.compactMap(\.skip)
                    events.append(.log(.written(write.ticket)))
                case .database(.apply(let entries, _)):
                    let last = entries.last?.index ?? .zero
                    events.append(.database(.applied(through: last)))
                case .say(let note) where note.text.hasPrefix("skip.json"): complaints += 1
                default: break
                }
            }
            now = now + .milliseconds(10)
            machine.turn(events, at: now, wallMilliseconds: 0)
            events = []
        }
        #expect(machine.portrait().status.isReady)
        return (found, complaints)
    }

    @Test func `Only what stood in the log before the recovery is recorded`() {
        let named = [1, 3, 4, 5, 70, .max].map { EntrySkip(index: $0, hash: 7) }
        let (skips, complaints) = recorded(
            named, restored([1, 1, 2], term: Self.epoch))
        #expect(skips.map(\.index) == [1, 3])
        #expect(complaints == 4)
    }

    @Test func `What the log came to hold since is not taken for what was left out`() {
        let named = [2, 3, 4].map { EntrySkip(index: $0, hash: 7) }
        // The recovered cluster had a leader before.
        let (skips, complaints) = recorded(
            named, restored([1, 1, Self.epoch + 1, Self.epoch + 1], term: Self.epoch + 1))
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
